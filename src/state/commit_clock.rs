//! The time of the last commit, for status and metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The time of the last commit; before the first commit, the start of the run.
#[derive(Debug)]
pub struct CommitClock {
    start: Instant,
    /// In milliseconds since the start.
    last: AtomicU64,
}

impl Default for CommitClock {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl CommitClock {
    /// The time since the last commit.
    pub fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// Records a commit.
    pub(super) fn note(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }
}

//! When the checkpoint was written last, for those who look at a run from outside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// See the module. Before the first commit of a run its start counts.
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
    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// The checkpoint was written now.
    pub(super) fn note(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }
}

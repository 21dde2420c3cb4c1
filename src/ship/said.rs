//! How often a message is logged that could come with every attempt.

use std::time::Duration;

use tokio::time::Instant;

/// The time from one message to the next.
const EVERY: Duration = Duration::from_secs(60);

/// When something was said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said(Option<Instant>);

impl Said {
    /// Whether it is time to say it, which is noted.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }

    /// Whether it was said since the last time that it was over; it is over now.
    pub fn take(&mut self) -> bool {
        self.0.take().is_some()
    }
}

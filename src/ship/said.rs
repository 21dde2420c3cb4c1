//! Limits the rate of log messages that could come with every attempt.

use std::time::Duration;

use tokio::time::Instant;

/// The minimum time between messages.
const EVERY: Duration = Duration::from_secs(60);

/// When a message was last logged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said(Option<Instant>);

impl Said {
    /// Whether the message is due, in which case it counts as logged.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }

    /// Whether the message was logged since the last call; resets that.
    pub fn take(&mut self) -> bool {
        self.0.take().is_some()
    }
}

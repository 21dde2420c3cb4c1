//! How far a run has come, for those who look at it from outside.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It opens what it needs, and reads back what the run before left.
    Starting,
    /// It takes lines.
    Running,
    /// It was told to stop: it takes no more lines, and finishes what it has.
    Draining {
        /// What is not finished by then is canceled, or left for the next start; `None` where that has no limit.
        until: Option<Instant>,
    },
    /// All stages have ended.
    Ended,
}

/// The state of a run, and since when it lasts; clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<watch::Sender<(RunState, Instant)>>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new((RunState::Starting, Instant::now()))))
    }
}

impl Lifecycle {
    /// What it is at.
    pub fn state(&self) -> RunState {
        self.0.borrow().0
    }

    /// Since when.
    pub fn since(&self) -> Duration {
        self.0.borrow().1.elapsed()
    }

    /// Whoever waits for the next state.
    pub fn subscribe(&self) -> watch::Receiver<(RunState, Instant)> {
        self.0.subscribe()
    }

    /// It has come so far.
    pub(super) fn enter(&self, state: RunState) {
        self.0.send_if_modified(|(now, since)| {
            let is_new = *now != state;
            if is_new {
                (*now, *since) = (state, Instant::now());
            }
            is_new
        });
    }
}

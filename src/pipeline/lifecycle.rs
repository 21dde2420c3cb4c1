//! The lifecycle of a run, for the API and the service manager.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// The run opens its sources and sinks, and recovers the state of the previous run.
    Starting,
    /// The run takes lines.
    Running,
    /// The run stops: it takes no more lines, and finishes those that it has.
    Draining {
        /// Lines unfinished at this time are canceled, or left for the next start; `None` without a limit.
        until: Option<Instant>,
    },
    /// All stages have ended.
    Ended,
}

/// The state of a run and the time when it began; clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<watch::Sender<(RunState, Instant)>>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new((RunState::Starting, Instant::now()))))
    }
}

impl Lifecycle {
    /// The state of the run.
    pub fn state(&self) -> RunState {
        self.0.borrow().0
    }

    /// Time since the state began.
    pub fn since(&self) -> Duration {
        self.0.borrow().1.elapsed()
    }

    /// A receiver of the next states.
    pub fn subscribe(&self) -> watch::Receiver<(RunState, Instant)> {
        self.0.subscribe()
    }

    /// Enters a state.
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

//! Sends released lines from the schedule to the settle stage, which gives them back to their source.

use tokio::sync::mpsc;

use super::scheduler::Scheduler;
use super::settle::Ack;
use crate::schedule::ReleaseScope;

impl Scheduler {
    /// Releases lines, if their source takes lines back.
    pub(super) fn release(&mut self, scope: ReleaseScope) {
        if self.can_release.get(scope.source()) == Some(&true) {
            self.core.release(scope, self.clock.now());
        }
    }

    /// Sends released lines to the settle stage, if there is room.
    pub(super) fn hand_back(&mut self) {
        if self.core.counts().released == 0 {
            return;
        }
        let slot = match self.acks.try_reserve() {
            Err(mpsc::error::TrySendError::Full(())) => return,
            slot => slot.ok(),
        };
        let released = std::iter::from_fn(|| self.core.take_released()).collect();
        // Without a slot the settle stage has ended: the run is shutting down.
        if let Some(slot) = slot {
            slot.send(Ack::Released(released));
        }
    }
}

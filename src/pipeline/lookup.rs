//! Where a line is that has left the schedule: the drain knows, and says so also while a sink does not take its records. A line whose
//! answer its source reads is in the stage before.

use tokio::sync::{mpsc, oneshot};

use crate::in_order::InOrder;
use crate::item::{Done, Ticket};
use crate::schedule::{LineAnswer, LineKey};

/// A question for a line that is not in the schedule.
pub(super) struct Lookup {
    pub key: LineKey,
    pub reply: oneshot::Sender<LineAnswer>,
}

impl Lookup {
    /// Answers it: `batch` is being written, `held` waits for records before it, and `next` for its turn.
    pub fn answer(self, batch: &[Ticket], held: &InOrder<Done>, next: &[Done]) {
        let is_it = |ticket: &Ticket| self.key.names(ticket);
        let answer = match () {
            () if batch.iter().any(is_it) => LineAnswer::WaitingForSink,
            () if held.iter().any(|done| is_it(&done.ticket)) => LineAnswer::HeldForOrder { behind: held.next() },
            () if next.iter().any(|done| is_it(&done.ticket)) => LineAnswer::WaitingForSink,
            () => LineAnswer::NotHere,
        };
        self.say(answer);
    }

    /// Has another stage answer it.
    pub fn pass_on(self, stage: &mpsc::Sender<Self>) {
        if let Err(error) = stage.try_send(self) {
            // It has more to answer than it can, or has ended.
            error.into_inner().say(LineAnswer::NotHere);
        }
    }

    /// This is the answer.
    pub fn say(self, answer: LineAnswer) {
        // Whoever does not wait for it any more has no need of it.
        let _ = self.reply.send(answer);
    }
}

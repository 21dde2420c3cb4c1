//! Finds a line that has left the schedule. The drain answers, also while a sink is blocked; for a line whose answer
//! its source reads, the answers stage does.

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
    /// Answers the question: `batch` is being written, `held` waits for records before it, and `next` for the next
    /// batch.
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

    /// Passes the question on to another stage.
    pub fn pass_on(self, stage: &mpsc::Sender<Self>) {
        if let Err(error) = stage.try_send(self) {
            // The stage's channel is full, or the stage has ended.
            error.into_inner().say(LineAnswer::NotHere);
        }
    }

    /// Sends the answer; a receiver that is gone is ignored.
    pub fn say(self, answer: LineAnswer) {
        let _ = self.reply.send(answer);
    }
}

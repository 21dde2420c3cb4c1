//! The drain: settled lines into every sink, batch by batch of what is already there, in the order asked for. Then it
//! passes their tickets on.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Board, FailFast, Order};
use crate::error::BoxError;
use crate::in_order::InOrder;
use crate::item::{Done, Outcome, Record, Ticket};
use crate::sink::Sink;

/// Records per batch, at most.
const BATCH: usize = 256;

pub(super) struct Drain {
    pub done: mpsc::Receiver<Done>,
    pub sinks: Vec<Box<dyn Sink>>,
    pub order: Order,
    pub fail_fast: FailFast,
    pub acks: mpsc::Sender<Vec<Ticket>>,
    pub give_up: CancellationToken,
    pub board: Board,
}

impl Drain {
    pub async fn run(mut self) -> Result<(), BoxError> {
        let mut came = Vec::with_capacity(BATCH);
        let mut waiting = InOrder::default();
        while self.done.recv_many(&mut came, BATCH).await > 0 {
            match self.order {
                Order::Completion => self.write(came.drain(..)).await?,
                Order::Input => {
                    for done in came.drain(..) {
                        waiting.insert(done.ticket.turn, done);
                    }
                    while let Some(first) = waiting.pop() {
                        let rest = std::iter::from_fn(|| waiting.pop()).take(BATCH - 1);
                        self.write(std::iter::once(first).chain(rest)).await?;
                    }
                }
            }
        }
        // Lines left for the next start leave gaps; what came after them is still owed its record.
        self.write(waiting.drain()).await
    }

    /// Writes records to every sink; their tickets go on once all have taken them.
    async fn write(&mut self, done: impl Iterator<Item = Done>) -> Result<(), BoxError> {
        let (tickets, records): (Vec<Ticket>, Vec<Record>) = done.map(|done| (done.ticket, done.record)).unzip();
        if records.is_empty() {
            return Ok(());
        }
        for sink in &mut self.sinks {
            sink.write(&records).await?;
        }
        self.count(&records);
        // The records go, and their bodies' memory with them, before this may wait.
        drop(records);
        // A closed channel is a consequence of the end, never its cause.
        let _ = self.acks.send(tickets).await;
        Ok(())
    }

    fn count(&self, records: &[Record]) {
        let count = |wanted: fn(Outcome) -> bool| records.iter().filter(|record| wanted(record.outcome)).count() as u64;
        let not_ok = count(|outcome| outcome != Outcome::Ok);
        let tally = self.board.tally();
        tally.recorded.add(records.len() as u64);
        tally.not_ok.add(not_ok);
        tally.canceled.add(count(|outcome| outcome == Outcome::Canceled));
        if self.fail_fast == FailFast::Yes && not_ok > 0 {
            self.give_up.cancel();
        }
    }
}

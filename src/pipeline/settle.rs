//! The settle stage: marks lines as done, requests checkpoints, gives released lines back to their sources, and frees
//! the lines' places in the window.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use super::Status;
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::{AnswerDesk, Receipt, ReleaseReceipt, Ticket};
use crate::source::Release;
use crate::state::Settle;

/// A message of the drain, or of the schedule about released lines.
pub(super) enum Ack {
    /// Every sink has taken the records of these lines.
    Written(Vec<Ticket>),
    /// All records written so far are in the outputs up to these marks.
    Commit(Vec<Mark>, oneshot::Sender<()>),
    /// These lines go back to their sources.
    Released(Vec<Ticket>),
}

/// Runs the settle stage. Per source, `durable` says whether the checkpoint records its lines, `release` takes its
/// lines back, and `desks` has the desk that waits for its records.
pub(super) async fn settle(
    mut acks: mpsc::Receiver<Ack>,
    mut settle: Option<Box<dyn Settle>>,
    durable: Vec<bool>,
    mut release: Vec<Option<Box<dyn Release>>>,
    desks: Vec<Option<AnswerDesk>>,
    status: Status,
) -> Result<(), BoxError> {
    while let Some(ack) = acks.recv().await {
        match (ack, &mut settle) {
            (Ack::Written(tickets), settle) => {
                // First the desk, so that a line which the source yields next is settled after this one.
                let say_written = |ticket: &Ticket| desks[ticket.source].iter().for_each(AnswerDesk::say_written);
                let tickets = tickets.into_iter().inspect(say_written).filter(|ticket| durable[ticket.source]);
                let done: Vec<Receipt> = tickets.map(Ticket::done).collect();
                if let Some(settle) = settle.as_mut().filter(|_| !done.is_empty()) {
                    settle.settle(&done)?;
                }
            }
            (Ack::Released(tickets), _) => {
                let count = tickets.len() as u64;
                for (source, lines) in by_source(tickets) {
                    if let Some(source) = &mut release[source] {
                        source.release(lines)?;
                    }
                }
                status.counters().released.add(count);
            }
            (Ack::Commit(marks, answer), settle) => {
                if let Some(settle) = settle {
                    settle.commit(marks).await?;
                }
                // The drain may not wait for the reply.
                let _ = answer.send(());
            }
        }
    }
    Ok(())
}

/// Released lines by the number of their source.
fn by_source(tickets: Vec<Ticket>) -> BTreeMap<usize, Vec<ReleaseReceipt>> {
    let mut lines = BTreeMap::<usize, Vec<ReleaseReceipt>>::new();
    for receipt in tickets.into_iter().map(Ticket::release) {
        lines.entry(receipt.source).or_default().push(receipt);
    }
    lines
}

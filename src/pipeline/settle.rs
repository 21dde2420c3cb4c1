//! The settle stage: reports which lines are done, requests checkpoints, gives released lines back, and frees the lines'
//! places in the window.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use super::Status;
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::{AnswerDesk, Receipt, ReleaseReceipt, Ticket};
use crate::source::Release;
use crate::state::Settle;

/// What the drain reports, and the schedule of released lines.
pub(super) enum Ack {
    /// Every sink has taken the records of these lines.
    Written(Vec<Ticket>),
    /// What was written so far is in the outputs up to these marks.
    Commit(Vec<Mark>, oneshot::Sender<()>),
    /// These lines go back to their sources.
    Released(Vec<Ticket>),
}

/// `durable` says for each source whether the checkpoint records its lines; `release` has what takes its lines back, and
/// `desks` what waits for its records.
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
                // What the source yields next is settled after this line.
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
                // Nobody may be waiting for the answer.
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

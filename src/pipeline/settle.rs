//! The settle stage: reports which lines are done, requests checkpoints, and frees the lines' places in the window.

use tokio::sync::{mpsc, oneshot};

use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::{Receipt, Ticket};
use crate::state::Settle;

/// What the drain says.
pub(super) enum Ack {
    /// Every sink has taken the records of these lines.
    Written(Vec<Ticket>),
    /// What was written so far is in the outputs up to these marks.
    Commit(Vec<Mark>, oneshot::Sender<()>),
}

/// `durable` says for each source whether its lines are settled with anybody.
pub(super) async fn settle(
    mut acks: mpsc::Receiver<Ack>,
    mut settle: Option<Box<dyn Settle>>,
    durable: Vec<bool>,
) -> Result<(), BoxError> {
    while let Some(ack) = acks.recv().await {
        match (ack, &mut settle) {
            (Ack::Written(tickets), settle) => {
                let done = tickets.into_iter().map(Ticket::done).filter(|receipt| durable[receipt.source]);
                let done: Vec<Receipt> = done.collect();
                if let Some(settle) = settle.as_mut().filter(|_| !done.is_empty()) {
                    settle.settle(&done)?;
                }
            }
            (Ack::Commit(marks, told), settle) => {
                if let Some(settle) = settle {
                    settle.commit(marks).await?;
                }
                // Who does not wait for it does not listen.
                let _ = told.send(());
            }
        }
    }
    Ok(())
}

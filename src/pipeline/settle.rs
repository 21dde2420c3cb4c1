//! The last stage: tells each source which of its lines are done, and frees their places in the window.

use tokio::sync::mpsc;

use crate::error::BoxError;
use crate::item::{Receipt, Ticket};
use crate::source::Settle;

/// `settles` has one entry per source, in their order.
pub(super) async fn settle(
    mut acks: mpsc::Receiver<Vec<Ticket>>,
    mut settles: Vec<Option<Box<dyn Settle>>>,
) -> Result<(), BoxError> {
    let mut done: Vec<Vec<Receipt>> = settles.iter().map(|_| Vec::new()).collect();
    while let Some(tickets) = acks.recv().await {
        for ticket in tickets {
            let source = ticket.source;
            done[source].push(ticket.done());
        }
        for (settle, done) in settles.iter_mut().zip(&mut done) {
            if let Some(settle) = settle.as_mut().filter(|_| !done.is_empty()) {
                settle.settle(done).await?;
            }
            done.clear();
        }
    }
    Ok(())
}

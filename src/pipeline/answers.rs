//! The answers stage: hands settled records of lines to their sources where these read answers, and all others on at once.
//! It is there only in a run with such a source. Next: `drain`.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::error::BoxError;
use crate::item::{AnswerSlot, Done, ReaderGone};

/// Ends with its input; the sources that are reading then are waited for. As each has one line under way, no more than there
/// are sources are held here.
pub(super) async fn answers(mut settled: mpsc::Receiver<Done>, done: mpsc::Sender<Done>) -> Result<(), BoxError> {
    let mut being_read = FuturesUnordered::new();
    loop {
        let next = tokio::select! {
            biased;
            Some(read) = being_read.next() => read?,
            came = settled.recv() => match came {
                None => break,
                Some(came) => match came.ticket.answer_slot().cloned() {
                    None => came,
                    Some(slot) => {
                        being_read.push(read(slot, came));
                        continue;
                    }
                },
            },
        };
        // A closed channel is a consequence of the end, never its cause.
        let _ = done.send(next).await;
    }
    while let Some(read) = being_read.next().await {
        let _ = done.send(read?).await;
    }
    Ok(())
}

async fn read(slot: Arc<AnswerSlot>, Done { ticket, record }: Done) -> Result<Done, ReaderGone> {
    Ok(Done { ticket, record: slot.read(record).await? })
}

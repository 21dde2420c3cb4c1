//! The answers stage: hands settled records to their sources where these read answers, and all others on at once. It is
//! there only in a run with such a source. Next: `drain`.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::error::BoxError;
use crate::item::{AnswerDesk, Done, LinePosition, ReaderGone};

pub(super) struct Answers {
    /// Per source: where its records are read.
    pub desks: Vec<Option<AnswerDesk>>,
    pub settled: mpsc::Receiver<Done>,
    pub done: mpsc::Sender<Done>,
}

impl Answers {
    /// The stage in front of this channel, and the channel to the stage.
    pub fn before(done: mpsc::Sender<Done>, desks: Vec<Option<AnswerDesk>>) -> (Self, mpsc::Sender<Done>) {
        let (to_settled, settled) = mpsc::channel(done.max_capacity());
        (Self { desks, settled, done }, to_settled)
    }

    /// Ends with its input, once the sources have read what they are reading. As each has one line under way, no more than
    /// there are sources are held here.
    pub async fn run(mut self) -> Result<(), BoxError> {
        let mut being_read = FuturesUnordered::new();
        loop {
            let done = tokio::select! {
                biased;
                Some(read) = being_read.next() => read?,
                settled = self.settled.recv() => match settled {
                    None => break,
                    Some(settled) => match self.desks[settled.ticket.source].clone() {
                        None => settled,
                        Some(desk) => {
                            being_read.push(read(desk, settled));
                            continue;
                        }
                    },
                },
            };
            // A closed channel is a consequence of the end, never its cause.
            let _ = self.done.send(done).await;
        }
        while let Some(read) = being_read.next().await {
            let _ = self.done.send(read?).await;
        }
        Ok(())
    }
}

async fn read(desk: AnswerDesk, Done { mut ticket, record }: Done) -> Result<Done, BoxError> {
    let gone = |ReaderGone| "the thread in which a source reads answers is gone";
    let record = desk.read(record).await.map_err(gone)?;
    ticket.position = record.page.clone().map(LinePosition::Page);
    Ok(Done { ticket, record })
}

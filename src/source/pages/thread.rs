//! The thread of a source: requests a page, reads its response, and requests the next once every sink has the record.
//!
//! The thread waits only for responses. The stream of lines delays later pages: it is dropped at a stop, and the thread
//! ends with it.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, future};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::entry::PageEntry;
use super::reader::{self, Unread};
use super::walk::{Ask, Walk, backoff};
use crate::error::BoxError;
use crate::item::{AnswerReader, ErrorKind, Identity, Input, Line, NoAnswer, Outcome, RawJson, Received, Record, Text};

/// A message of the thread. If the channel closes without one of the last two, the thread failed.
enum Message {
    /// A line, and its delay.
    Line(Line, Duration),
    /// There are no more pages.
    End,
    /// The run is ending, and the line has no response.
    Left,
}

/// The thread, before it starts.
pub(super) struct Asker {
    pub walk: Walk,
    /// The identity of the line before the first one.
    pub id: Identity,
    /// The name of the source, for messages.
    pub name: Arc<str>,
}

impl Asker {
    /// Starts the thread. It ends with its walks, or soon after the stream is dropped.
    pub fn start(self, answers: AnswerReader) -> BoxStream<'static, Result<Input, BoxError>> {
        let (tx, rx) = mpsc::channel(1);
        std::thread::spawn(move || {
            let last = match block_on(self.walk_on(&tx, answers)) {
                Ok(()) => Message::End,
                Err(NoAnswer) => Message::Left,
            };
            // The stream may have been dropped.
            let _ = tx.blocking_send(last);
        });
        lines(rx).boxed()
    }

    /// Requests page after page, until there are no more.
    async fn walk_on(mut self, lines: &mpsc::Sender<Message>, mut answers: AnswerReader) -> Result<(), NoAnswer> {
        while let Some(ask) = self.walk.ask(Timestamp::now()) {
            self.id.seq += 1;
            let text = Text::Whole(ask.url.as_str().to_owned().into());
            let line = Line { id: self.id.clone(), text, position: None };
            lines.send(Message::Line(line, ask.after)).await.map_err(|_| NoAnswer)?;
            answers.read(|record| self.read(&ask, record)).await?;
            answers.written().await?;
        }
        Ok(())
    }

    /// Reads a response, and completes its record.
    fn read(&mut self, ask: &Ask, record: &mut Record) {
        let flaw = match reader::read(self.walk.plan(), record) {
            Ok(page) => self.walk.read(ask, page),
            Err(unread) => {
                self.walk.failed(ask);
                match unread {
                    Unread::Failed => None,
                    Unread::Flawed(flaw) => Some(flaw),
                }
            }
        };
        if let Some((kind, message)) = flaw {
            if kind == ErrorKind::BodyTooLarge {
                leave_body_out(&mut record.received);
            }
            record.outcome = kind.outcome(record.attempts);
            record.error = Some((kind, message));
        }
        if let Some(entry) = self.walk.last() {
            self.tell(entry, record);
            // Serializing an entry cannot fail.
            record.page = RawJson::of(entry).ok();
        }
    }

    /// Logs failed pages and the end of a walk.
    fn tell(&self, entry: &PageEntry, record: &Record) {
        let (name, walk, number) = (&*self.name, entry.walk, entry.number);
        let error = record.error.as_ref().map(|(kind, message)| (kind.name(), message));
        match (error, entry.failures) {
            _ if record.outcome == Outcome::Canceled => {}
            (Some((kind, why)), Some(failures)) => {
                let seconds = backoff(failures).as_secs();
                let message =
                    format!("page {number} of `{name}` failed ({kind}): {why}; it is requested again in {seconds} s");
                tracing::warn!(event = "page_failed", source = name, walk, number, failures, kind, "{message}");
            }
            (Some((kind, _)), None) => {
                tracing::warn!(
                    event = "walk_cut_off",
                    source = name,
                    walk,
                    number,
                    kind,
                    "walk {walk} of `{name}` is cut off at page {number} ({kind})"
                );
            }
            (None, _) if entry.next.is_none() => {
                let why = self.walk.ended_as();
                let message = format!("walk {walk} of `{name}` has ended with page {number}: {why}");
                tracing::info!(event = "walk_ended", source = name, walk, number, "{message}");
            }
            (None, _) => {}
        }
    }
}

/// The stream of lines, each after its delay.
fn lines(messages: mpsc::Receiver<Message>) -> impl stream::Stream<Item = Result<Input, BoxError>> {
    stream::try_unfold(messages, |mut messages| async move {
        match messages.recv().await {
            Some(Message::Line(line, after)) => {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                Ok(Some((Input::Line(line), messages)))
            }
            Some(Message::End) => Ok(None),
            Some(Message::Left) => future::pending().await,
            None => Err("the thread of a source `pages` ended unexpectedly".into()),
        }
    })
}

/// Removes a body that is too long to be read from its record, like a body that the client gave up.
fn leave_body_out(received: &mut Received) {
    *received = match std::mem::take(received) {
        Received::Response(response) => Received::Head(Box::new(response.head)),
        other => other,
    };
}

//! Answers that go back to their source, where that goes on from what they say: a paginated API.
//!
//! `pipeline::answers` hands each settled record of the source over before any sink has it. The source reads it in a thread
//! of its own, and returns it with its `page`, which is also the source's position once the line is done.
//! `pipeline::settle` says when every sink has the record. The source has one line under way at a time.

use tokio::sync::{mpsc, oneshot};

use super::Record;

/// The record that a source is to read, and where it goes then.
type Handover = (Box<Record>, oneshot::Sender<Box<Record>>);

/// The pipeline's end.
#[derive(Clone, Debug)]
pub struct AnswerDesk {
    records: mpsc::Sender<Handover>,
    written: mpsc::Sender<()>,
}

/// The source's end.
#[derive(Debug)]
pub struct AnswerReader {
    records: mpsc::Receiver<Handover>,
    written: mpsc::Receiver<()>,
}

/// The line has no answer in this run: it was left for the next start, or the run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// The source ended with a record in its hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderGone;

/// Both ends for a source that reads answers.
pub fn answers() -> (AnswerDesk, AnswerReader) {
    // One line is under way.
    let (to_records, records) = mpsc::channel(1);
    let (to_written, written) = mpsc::channel(1);
    (AnswerDesk { records: to_records, written: to_written }, AnswerReader { records, written })
}

impl AnswerDesk {
    /// Lets the source read the record, and returns it as the source leaves it. Where the source has ended, that is as it was.
    ///
    /// # Errors
    /// When the source ends with the record in its hands.
    pub async fn read(&self, record: Box<Record>) -> Result<Box<Record>, ReaderGone> {
        let (back, returned) = oneshot::channel();
        match self.records.send((record, back)).await {
            Ok(()) => returned.await.map_err(|_| ReaderGone),
            Err(mpsc::error::SendError((record, _))) => Ok(record),
        }
    }

    /// Says that every sink has taken the record that was read last. Does not wait, and a source that is gone is no error.
    pub fn say_written(&self) {
        let _ = self.written.try_send(());
    }
}

impl AnswerReader {
    /// Waits until the line is settled, and lets `read` complete its record: set `page`, and `outcome` and `error` where the
    /// answer is not what it should be. Returns what `read` does. The record goes to the sinks then.
    ///
    /// To read an answer takes time: a source waits for this in a thread of its own.
    ///
    /// # Errors
    /// When the line is not settled in this run.
    pub async fn read<T>(&mut self, read: impl FnOnce(&mut Record) -> T) -> Result<T, NoAnswer> {
        let (mut record, back) = self.records.recv().await.ok_or(NoAnswer)?;
        let result = read(&mut record);
        // The pipeline may have ended meanwhile.
        let _ = back.send(record);
        Ok(result)
    }

    /// Waits until every sink has taken the record that was read last.
    ///
    /// # Errors
    /// When the run ended before.
    pub async fn written(&mut self) -> Result<(), NoAnswer> {
        self.written.recv().await.ok_or(NoAnswer)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::item::{Echo, ErrorKind, Identity, RawJson, Rejection};

    fn record() -> Box<Record> {
        let rejection = Rejection { kind: ErrorKind::InvalidUrl, message: String::new() };
        let id = Identity { state_id: None, source: None, file: None, seq: 1, round: 0 };
        Box::new(Record::rejected(id, Echo::text("x"), rejection))
    }

    #[tokio::test]
    async fn a_record_goes_to_its_source_and_comes_back() {
        let (desk, mut reader) = answers();
        let read = reader.read(|record| {
            record.page = RawJson::of(&1).ok();
            record.id.seq
        });
        let (record, seq) = tokio::join!(desk.read(record()), read);
        assert_eq!((record.unwrap().page, seq), (RawJson::of(&1).ok(), Ok(1)));
        assert_eq!(reader.written().now_or_never(), None, "no sink has it yet");
        desk.say_written();
        assert_eq!(reader.written().now_or_never(), Some(Ok(())));
    }

    #[tokio::test]
    async fn a_source_that_is_gone_holds_nothing_up() {
        let (desk, reader) = answers();
        drop(reader);
        assert!(desk.read(record()).await.unwrap().page.is_none());
        desk.say_written();
    }

    #[tokio::test]
    async fn a_source_that_goes_with_a_record_is_an_error() {
        let (desk, mut reader) = answers();
        let (read, ()) = tokio::join!(desk.read(record()), async move { drop(reader.records.recv().await) });
        assert_eq!(read.unwrap_err(), ReaderGone);
    }

    #[tokio::test]
    async fn the_end_of_the_run_ends_the_wait() {
        let (desk, mut reader) = answers();
        drop(desk);
        assert_eq!(reader.read(|_| ()).await, Err(NoAnswer));
        assert_eq!(reader.written().await, Err(NoAnswer));
    }
}

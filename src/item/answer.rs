//! The channel by which the source of a paginated API reads its settled records, to find the next page.
//!
//! `pipeline::answers` passes each settled record to the source before any sink gets it. The source reads it in its own
//! thread, and returns it with its `page`, which is also the source's position once the line is done.
//! `pipeline::settle` signals when every sink has the record. The source has one line in progress at a time.

use tokio::sync::{mpsc, oneshot};

use super::Record;

/// A record for the source to read, and the channel for its return.
type Handover = (Box<Record>, oneshot::Sender<Box<Record>>);

/// The pipeline's end of the channel.
#[derive(Clone, Debug)]
pub struct AnswerDesk {
    records: mpsc::Sender<Handover>,
    written: mpsc::Sender<()>,
}

/// The source's end of the channel.
#[derive(Debug)]
pub struct AnswerReader {
    records: mpsc::Receiver<Handover>,
    written: mpsc::Receiver<()>,
}

/// The error for a line without a record in this run: it was left for the next start, or the run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// The error if the source ended without returning a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderGone;

/// Both ends of the channel for one source.
pub fn answers() -> (AnswerDesk, AnswerReader) {
    // One line is in progress.
    let (to_records, records) = mpsc::channel(1);
    let (to_written, written) = mpsc::channel(1);
    (AnswerDesk { records: to_records, written: to_written }, AnswerReader { records, written })
}

impl AnswerDesk {
    /// Passes the record to the source and returns it completed; unchanged if the source had ended before.
    ///
    /// # Errors
    /// When the source ends without returning the record.
    pub async fn read(&self, record: Box<Record>) -> Result<Box<Record>, ReaderGone> {
        let (back, returned) = oneshot::channel();
        match self.records.send((record, back)).await {
            Ok(()) => returned.await.map_err(|_| ReaderGone),
            Err(mpsc::error::SendError((record, _))) => Ok(record),
        }
    }

    /// Signals that every sink has taken the last record. Does not wait, and ignores a source that has ended.
    pub fn say_written(&self) {
        let _ = self.written.try_send(());
    }
}

impl AnswerReader {
    /// Waits until the line is settled, then passes its record to `read` and on to the sinks. `read` sets `page`, and
    /// `outcome` and `error` if the response is not a valid page.
    ///
    /// `read` may be slow, so a source calls this in its own thread.
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

    /// Waits until every sink has taken the last record.
    ///
    /// # Errors
    /// When the run ends before.
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

//! Answers that go back to their source: a source that reads answers puts a slot into the line that it yields, and keeps the
//! other end.
//!
//! `pipeline::answers` hands the settled record over before any sink has it; the source reads it in a thread of its own, and
//! returns it with its `page`, which is also the source's position once the line is done. `pipeline::settle` says when every
//! sink has taken the record. A slot that is dropped ends the wait of its source: the line was left for the next start.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;

use super::{RawJson, Record};

/// The record that a source is to read, and where it goes then.
type Handover = (Box<Record>, oneshot::Sender<Box<Record>>);

/// The pipeline's end: the place that a source reserved for the answer to one of its lines.
pub struct AnswerSlot {
    record: Mutex<Option<oneshot::Sender<Handover>>>,
    /// Where the source goes on once the line is done.
    position: OnceLock<RawJson>,
    written: Mutex<Option<oneshot::Sender<()>>>,
}

/// The source's end of a slot.
#[derive(Debug)]
pub struct AnswerReceiver {
    record: oneshot::Receiver<Handover>,
    written: oneshot::Receiver<()>,
}

/// Why a source does not get its answer: the line has none, as the run is over or the line was left for the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the line has no answer in this run")]
pub struct NoAnswer;

/// Why a record does not come back: the thread that was reading it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of a source's answers is gone")]
pub struct ReaderGone;

/// Both ends of a slot for one line.
pub fn answer_slot() -> (AnswerSlot, AnswerReceiver) {
    let (record, records) = oneshot::channel();
    let (written, all_written) = oneshot::channel();
    let slot =
        AnswerSlot { record: Mutex::new(Some(record)), position: OnceLock::new(), written: Mutex::new(Some(written)) };
    (slot, AnswerReceiver { record: records, written: all_written })
}

impl AnswerSlot {
    /// Lets the source read the record, and returns it as the source leaves it. A source that ended before needs no answers:
    /// then the record comes back as it is.
    ///
    /// # Errors
    /// When the source ended with the record in its hands.
    pub async fn read(&self, record: Box<Record>) -> Result<Box<Record>, ReaderGone> {
        let (back, returned) = oneshot::channel();
        let Some(handover) = take(&self.record) else { return Ok(record) };
        if let Err((record, _)) = handover.send((record, back)) {
            return Ok(record);
        }
        let record = returned.await.map_err(|_| ReaderGone)?;
        if let Some(page) = &record.page {
            // Set once: there is one handover.
            let _ = self.position.set(page.clone());
        }
        Ok(record)
    }

    /// Where the source goes on once the line is done.
    pub fn position(&self) -> Option<&RawJson> {
        self.position.get()
    }

    /// Says that every sink has taken the record. Does not wait, and a source that is gone is no error.
    pub fn say_written(&self) {
        if let Some(written) = take(&self.written) {
            let _ = written.send(());
        }
    }
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl PartialEq for AnswerSlot {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for AnswerSlot {}

impl fmt::Debug for AnswerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerSlot").field("position", &self.position).finish_non_exhaustive()
    }
}

impl AnswerReceiver {
    /// Waits until the line is settled, and lets `read` complete its record: set `page`, and `outcome` and `error` where the
    /// answer is not what it should be. Returns what `read` does. The record goes to the sinks then.
    ///
    /// To read an answer takes time: a source waits for this in a thread of its own.
    ///
    /// # Errors
    /// When the line is not settled in this run.
    pub async fn read<T>(&mut self, read: impl FnOnce(&mut Record) -> T) -> Result<T, NoAnswer> {
        let (mut record, back) = (&mut self.record).await.map_err(|_| NoAnswer)?;
        let result = read(&mut record);
        // The pipeline may have ended meanwhile.
        let _ = back.send(record);
        Ok(result)
    }

    /// Waits until every sink has taken the record.
    ///
    /// # Errors
    /// When the run ended before.
    pub async fn written(self) -> Result<(), NoAnswer> {
        self.written.await.map_err(|_| NoAnswer)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::item::{Echo, ErrorKind, Identity, Rejection};

    fn record() -> Box<Record> {
        let rejection = Rejection { kind: ErrorKind::InvalidUrl, message: String::new() };
        let id = Identity { state_id: None, source: None, file: None, seq: 1, round: 0 };
        Box::new(Record::rejected(id, Echo::text("x"), rejection))
    }

    fn page() -> RawJson {
        RawJson::of(&1).unwrap()
    }

    #[tokio::test]
    async fn a_record_goes_to_its_source_and_comes_back_with_the_position() {
        let (slot, mut receiver) = answer_slot();
        assert_eq!(slot.position(), None);
        let read = receiver.read(|record| {
            record.page = Some(page());
            record.id.seq
        });
        let (record, seq) = tokio::join!(slot.read(record()), read);
        assert_eq!((record.unwrap().page.as_ref(), slot.position(), seq), (Some(&page()), Some(&page()), Ok(1)));
        let mut written = Box::pin(receiver.written());
        assert!((&mut written).now_or_never().is_none(), "no sink has it yet");
        slot.say_written();
        assert_eq!(written.await, Ok(()));
    }

    #[tokio::test]
    async fn a_source_that_is_gone_holds_nothing_up() {
        let (slot, receiver) = answer_slot();
        drop(receiver);
        assert!(slot.read(record()).await.unwrap().page.is_none());
        slot.say_written();
    }

    #[tokio::test]
    async fn a_source_that_goes_with_a_record_is_an_error() {
        let (slot, mut receiver) = answer_slot();
        let reader = async move {
            let handover = (&mut receiver.record).await.unwrap();
            drop(handover);
        };
        let (read, ()) = tokio::join!(slot.read(record()), reader);
        assert_eq!(read.unwrap_err(), ReaderGone);
    }

    #[tokio::test]
    async fn a_dropped_slot_ends_the_wait() {
        let (slot, mut receiver) = answer_slot();
        drop(slot);
        assert_eq!(receiver.read(|_| ()).await, Err(NoAnswer));
        assert_eq!(receiver.written().await, Err(NoAnswer));
    }
}

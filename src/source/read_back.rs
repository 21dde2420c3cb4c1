//! Reads accepted lines back from a journal, in the same way during a run and after a restart.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::intake::Intake;
use super::journal_gauge::JournalGauge;
use super::{Durability, SavedState, Source, SourceGauge};
use crate::error::BoxError;
use crate::item::{DoneRanges, Identity, Input, Line, Text, Trim};
use crate::journal::{ReadBatch, Reader, SegmentIndex, WriterState};

/// The source whose lines this intake accepts. The intake sends its failure to the returned sender.
pub(super) fn source(intake: &Intake, name: Option<Arc<str>>, saved: &SavedState) -> (Source, oneshot::Sender<String>) {
    let (index, stop) = (Arc::clone(intake.index()), intake.stop().clone());
    let settled = saved.files.get("").cloned().unwrap_or_default();
    let trim: Arc<dyn Trim> = Arc::<SegmentIndex>::clone(&index);
    let (failed, failure) = oneshot::channel();
    let failure = failure.then(|failed| async move {
        match failed {
            Ok(why) => BoxError::from(why),
            Err(_) => std::future::pending().await,
        }
    });
    let lines = read_back(index, stop, settled, name, Arc::clone(&saved.state_id));
    let source = Source::new(lines, Durability::Resumable);
    let gauge: Arc<dyn SourceGauge> = Arc::<JournalGauge>::clone(intake.gauge());
    (Source { trim: Some(trim), failure: Some(failure.boxed()), gauge: Some(gauge), ..source }, failed)
}

/// A batch of lines from the journal.
type Batched = Result<Vec<(u64, Text)>, BoxError>;

/// The receiving end of the journal's lines. When it is dropped, the intake stops.
struct Tap {
    batches: mpsc::Receiver<Batched>,
    index: Arc<SegmentIndex>,
    stop: CancellationToken,
}

impl Drop for Tap {
    /// Waits a moment, so that lines already taken from the producer are accepted before the process ends.
    fn drop(&mut self) {
        const LAST_BATCH: Duration = Duration::from_millis(500);
        self.index.stop(&self.stop);
        self.index.wait_for_end(LAST_BATCH);
    }
}

/// Yields the journal's lines that are not settled, as soon as they are accepted.
fn read_back(
    index: Arc<SegmentIndex>,
    stop: CancellationToken,
    settled: DoneRanges,
    source: Option<Arc<str>>,
    state_id: Arc<str>,
) -> BoxStream<'static, Result<Input, BoxError>> {
    let (tx, batches) = mpsc::channel(1);
    let reader = Reader::new(Arc::clone(&index), settled.through() + 1);
    let behind = Arc::clone(&index);
    std::thread::spawn(move || send_batches(reader, &behind, &tx));
    let tap = Tap { batches, index, stop };
    stream::unfold(tap, |mut tap| async move { Some((tap.batches.recv().await?, tap)) })
        .map_ok(move |lines| {
            let (source, state_id) = (source.clone(), Arc::clone(&state_id));
            let open: Vec<_> = lines.into_iter().filter(|(seq, _)| !settled.contains(*seq)).collect();
            stream::iter(open.into_iter().map(move |(seq, text)| {
                let state_id = Some(Arc::clone(&state_id));
                let id = Identity { state_id, source: source.clone(), file: None, seq, round: 0 };
                Ok(Input::Line(Line { id, text, position: None }))
            }))
        })
        .try_flatten()
        .boxed()
}

/// The thread that reads the journal.
fn send_batches(mut reader: Reader, index: &SegmentIndex, batches: &mpsc::Sender<Batched>) {
    loop {
        let batch = match reader.take() {
            Ok(ReadBatch::Lines(lines)) => Ok(lines),
            Ok(ReadBatch::UpToDate) => match index.wait_for(reader.next_seq()) {
                WriterState::Broken(why) => Err(why.into()),
                WriterState::Ended if index.next() == reader.next_seq() => return,
                WriterState::Open | WriterState::Ended => continue,
            },
            Err(error) => Err(format!("cannot read the journal in {}: {error}", index.dir().display()).into()),
        };
        let is_last = batch.is_err();
        if batches.blocking_send(batch).is_err() || is_last {
            return;
        }
    }
}

//! Durable standard input: lines go into a journal, and are read back from it once they are accepted.
//!
//! One thread takes what waits in the pipe, batch by batch, into the journal; another one reads the journal behind it, as
//! after a restart. So the producer may close its pipe and go.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::chunk_reader::{Chunk, read};
use super::splitter::{Split, Splitter};
use super::{Durability, SavedState, Source, line_stream};
use crate::disk::retry_while_full;
use crate::error::BoxError;
use crate::item::{self, DoneRanges, Identity, Line, Text, Trim};
use crate::journal::{Batch, OpenedJournal, ReadBatch, Reader, SegmentIndex, Writer, WriterState};
use crate::units::{counted, in_bytes};

/// Bytes that are accepted at once, about.
const BATCH: usize = 1 << 20;

/// What holds a journal down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub max_line: u64,
    /// Bytes of the journal.
    pub max_journal: u64,
    /// Bytes to be left free on its disk.
    pub min_free: u64,
}

/// Opens the journal, and standard input in front of it.
///
/// # Errors
/// When one of the two cannot be opened.
pub(super) fn open(bounds: Bounds, name: Option<Arc<str>>, saved: &SavedState) -> Result<Source, BoxError> {
    /// Segments are removed as a whole, so a journal must have several.
    const SEGMENT: u64 = 64 << 20;
    let input = line_stream::standard_input()?;
    let splitter = Splitter::new(usize::try_from(bounds.max_line)?);
    let settled = saved.files.get("").cloned().unwrap_or_default();
    let at = |error: io::Error| format!("the journal in {}: {error}", saved.dir.display());
    let segment = SEGMENT.min(bounds.max_journal / 4);
    let opened = Writer::open(&saved.disk, &saved.dir, settled.last(), segment).map_err(at)?;
    announce(&opened, &settled);
    let writer = opened.writer;
    // What is done may leave no room for more, and without more nobody says again that it is done.
    writer.index().trim(settled.through()).map_err(at)?;
    let (index, stop) = (Arc::clone(writer.index()), CancellationToken::new());
    let (broken, failure) = oneshot::channel();
    let intake = Intake { writer, bounds, splitter, stop: stop.clone() };
    std::thread::spawn(move || intake.run(read(input), broken));
    let trim: Arc<dyn Trim> = Arc::<SegmentIndex>::clone(&index);
    let failure = failure.then(|broken| async move {
        match broken {
            Ok(why) => BoxError::from(why),
            Err(_) => std::future::pending().await,
        }
    });
    let lines = read_back(index, stop, settled, name, Arc::clone(&saved.state_id));
    Ok(Source { trim: Some(trim), failure: Some(failure.boxed()), ..Source::new(lines, Durability::Resumable) })
}

/// Says what earlier runs have left.
fn announce(opened: &OpenedJournal, settled: &DoneRanges) {
    let OpenedJournal { writer, torn, segments } = opened;
    let (index, last) = (writer.index(), settled.last());
    let (dir, bytes) = (index.dir().display(), counted(torn.bytes, "byte"));
    if *segments == 0 && last > 0 {
        tracing::warn!("the journal in {dir} is gone; lines accepted after line {last} are lost: send them again");
    }
    match torn.damaged {
        Some(lines) => tracing::warn!("the end of the journal in {dir} is damaged, and was cut off ({bytes}); {lines}"),
        None if torn.bytes > 0 => {
            tracing::warn!("the journal in {dir} ended in {bytes} that were never accepted; they were cut off");
        }
        None => {}
    }
    let pending = index.next() - 1 - settled.count();
    if pending > 0 {
        tracing::info!("going on with {} of earlier runs", counted(pending, "accepted line"));
    }
}

/// Takes lines from standard input into the journal.
struct Intake {
    writer: Writer,
    bounds: Bounds,
    splitter: Splitter,
    stop: CancellationToken,
}

/// Whether more can come.
enum Input {
    Open,
    Ended,
    Failed(io::Error),
}

impl Intake {
    fn run(mut self, chunks: mpsc::Receiver<Chunk>, broken: oneshot::Sender<String>) {
        let ended = self.take_all(chunks);
        if let Err(why) = &ended {
            // The lines before may take long to be done, and their results may be on the same disk.
            let _ = broken.send(why.clone());
        }
        self.writer.index().end(ended);
    }

    fn take_all(&mut self, mut chunks: mpsc::Receiver<Chunk>) -> Result<(), String> {
        let most = BATCH.min(usize::try_from(self.bounds.max_journal / 4).unwrap_or(BATCH));
        loop {
            let mut batch = Batch::default();
            let mut input = match block_on(self.stop.run_until_cancelled(chunks.recv())) {
                Some(Some(chunk)) => self.take(chunk, &mut batch),
                Some(None) => Input::Failed(io::Error::other("its reader ended without saying why")),
                // What was read already is still accepted.
                None => Input::Ended,
            };
            // What waits behind it is accepted with it: one sync for all.
            while batch.bytes() < most
                && let Ok(chunk) = chunks.try_recv()
            {
                match self.take(chunk, &mut batch) {
                    // More may come, but it is not accepted after a stop.
                    Input::Open => {}
                    end => input = end,
                }
            }
            self.accept(&batch).map_err(|error| {
                format!("cannot write the journal in {}: {error}", self.writer.index().dir().display())
            })?;
            match input {
                Input::Open => {}
                Input::Ended => return Ok(()),
                Input::Failed(error) => return Err(format!("cannot read the input: {error}")),
            }
        }
    }

    fn accept(&mut self, batch: &Batch) -> io::Result<()> {
        self.wait_for_room(batch.bytes() as u64)?;
        let dir = self.writer.index().dir().to_owned();
        retry_while_full(&dir, || self.writer.append(batch))
    }

    fn take(&mut self, chunk: Chunk, batch: &mut Batch) -> Input {
        match chunk {
            Chunk::Bytes(bytes) => {
                self.splitter.push(bytes);
                while let Some(split) = self.splitter.next() {
                    push(split, batch);
                }
                Input::Open
            }
            Chunk::End => {
                self.splitter.finish().into_iter().for_each(|split| push(split, batch));
                Input::Ended
            }
            Chunk::Failed(error) => Input::Failed(error),
        }
    }

    /// Waits until the journal and its disk have room for so many bytes, or the intake is stopped.
    fn wait_for_room(&mut self, bytes: u64) -> io::Result<()> {
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        let mut is_waiting = false;
        while !self.stop.is_cancelled()
            && let Some(why) = self.lack_of_room(bytes)?
        {
            if !std::mem::replace(&mut is_waiting, true) {
                tracing::warn!("no more lines are read for now: {why}");
                let dir = self.writer.index().dir().to_owned();
                retry_while_full(&dir, || self.writer.roll())?;
            }
            self.writer.index().wait(&self.stop, LOOK_EVERY);
        }
        if is_waiting && !self.stop.is_cancelled() {
            tracing::info!("lines are read again");
        }
        Ok(())
    }

    fn lack_of_room(&self, bytes: u64) -> io::Result<Option<String>> {
        let Bounds { max_journal, min_free, .. } = self.bounds;
        let index = self.writer.index();
        let (held, free, dir) = (index.bytes(), index.free()?, index.dir().display());
        // A single batch is let in, or a line larger than the journal may be would wait for ever.
        if held > 0 && held + bytes > max_journal {
            let (held, most) = (in_bytes(held), in_bytes(max_journal));
            return Ok(Some(format!("the journal in {dir} has {held}, and max_journal is {most}")));
        }
        let (left, least) = (in_bytes(free), in_bytes(min_free));
        let is_low = free < min_free + bytes;
        Ok(is_low.then(|| format!("the disk of {dir} has {left} left, and state.min_free is {least}")))
    }
}

fn push(split: Split, batch: &mut Batch) {
    if let Split::Line(text) = split {
        batch.push(&text);
    }
}

/// A batch out of the journal.
type Batched = Result<Vec<(u64, Text)>, BoxError>;

/// The end of the journal that is read. Dropped, it stops the intake.
struct Tap {
    batches: mpsc::Receiver<Batched>,
    index: Arc<SegmentIndex>,
    stop: CancellationToken,
}

impl Drop for Tap {
    /// Waits a moment, so that what was taken from the producer already is accepted before the process ends.
    fn drop(&mut self) {
        const LAST_BATCH: Duration = Duration::from_millis(500);
        self.index.stop(&self.stop);
        self.index.wait_for_end(LAST_BATCH);
    }
}

/// The journal's lines that are not settled, as soon as they are accepted.
fn read_back(
    index: Arc<SegmentIndex>,
    stop: CancellationToken,
    settled: DoneRanges,
    source: Option<Arc<str>>,
    state_id: Arc<str>,
) -> BoxStream<'static, Result<item::Input, BoxError>> {
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
                Ok(item::Input::Line(Line { id, text, position: None }))
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

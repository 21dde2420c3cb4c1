//! The sink of a file output during the run: encodes batches, and rotates the file when it is due.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::writer::{Put, WriterThread};
use super::{Encoder, EndReason, Sink, Written};
use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Record;
use crate::output::{FilePlace, Fsync, RotatingFile};

/// When a file is rotated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    /// At this size in bytes.
    pub size: Option<u64>,
    /// This long after its first record.
    pub every: Option<Duration>,
}

pub(super) struct RotatingSink {
    path: PathBuf,
    writer: WriterThread<RotatingFile>,
    encoder: Encoder,
    fsync: Fsync,
    rotation: Rotation,
    state: State,
}

/// The state of the current file.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The size, if rotation or fsync depends on it.
    length: u64,
    /// When the file got its first record, or was opened with records.
    since: Option<Instant>,
    /// A rotation was requested, or the file was moved.
    is_asked: bool,
    /// Records since the last flush.
    records: u64,
}

impl RotatingSink {
    pub fn start(mut output: RotatingFile, encoder: Encoder, rotation: Rotation) -> io::Result<Self> {
        output.watch()?;
        let length = output.length()?;
        let since = (length > 0).then(Instant::now);
        let (path, fsync) = (output.path().to_owned(), output.fsync());
        let state = State { length, since, ..State::default() };
        Ok(Self { path, writer: WriterThread::new(output), encoder, fsync, rotation, state })
    }

    /// When `rotate_every` has passed for this file.
    fn over(&self) -> Option<Instant> {
        Some(self.state.since? + self.rotation.every?)
    }

    fn is_due(&self) -> bool {
        let is_full = self.rotation.size.is_some_and(|size| self.state.length >= size);
        is_full || self.state.is_asked || self.over().is_some_and(|over| over <= Instant::now())
    }

    async fn take(&mut self, batch: &[Box<Record>]) -> io::Result<()> {
        self.writer.write(batch, &self.encoder).await?;
        let records = batch.iter().filter(|record| self.encoder.takes(record.outcome)).count() as u64;
        self.state.records += records;
        if self.state.since.is_none() && records > 0 {
            self.state.since = Some(Instant::now());
        }
        if self.fsync == Fsync::Batch || self.rotation.size.is_some() {
            self.state.length = self.writer.ask(|output| output.end_batch().and_then(|()| output.length())).await?;
        }
        Ok(())
    }

    /// Flushes the file, even if it was moved: its records are in the moved file.
    async fn flush_records(&mut self) -> io::Result<Mark> {
        let records = std::mem::take(&mut self.state.records);
        let flushed = move |output: &mut RotatingFile| {
            output.count(records);
            Ok((output.flush()?, output.place()))
        };
        let (mark, place) = self.writer.ask(flushed).await?;
        self.path.clone_from(&mark.path);
        if place != FilePlace::AtPath && !self.state.is_asked {
            let path = self.path.display();
            tracing::warn!(event = "output_moved", %path, "{path} was renamed or replaced; going on in a new file");
            self.state.is_asked = true;
        }
        Ok(mark)
    }

    /// Finishes the current file if it is due, and returns its length if it got its final name.
    pub async fn end(&mut self, end: EndReason) -> Result<Option<u64>, BoxError> {
        // Another sink may be due.
        if end == EndReason::Rotation && !self.is_due() {
            return Ok(None);
        }
        self.go_on(end).await.map_err(|error| cannot("finish", &self.path, &error))
    }

    async fn go_on(&mut self, end: EndReason) -> io::Result<Option<u64>> {
        let switched = move |output: &mut RotatingFile| {
            let before = output.length()?;
            let length = match end {
                EndReason::Rotation => output.rotate().and_then(|()| output.length())?,
                EndReason::Shutdown => output.finish().map(|()| 0)?,
            };
            Ok((output.path().to_owned(), before, length))
        };
        let (path, before, length) = self.writer.ask(switched).await?;
        self.path = path;
        self.state = State { length, since: (length > 0).then(Instant::now), ..State::default() };
        // A file without records gets no final name.
        Ok(Some(before).filter(|before| *before > 0))
    }
}

impl Sink for RotatingSink {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move { self.take(batch).await.map_err(|error| cannot("write to", &self.path, &error)) }.boxed()
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Mark>, BoxError>> {
        async move {
            let flushed = self.flush_records().await;
            flushed.map(Some).map_err(|error| cannot("write to", &self.path, &error))
        }
        .boxed()
    }

    fn due(&mut self) -> BoxFuture<'_, ()> {
        async move {
            if self.is_due() {
                return;
            }
            match self.over() {
                Some(over) => sleep_until(over).await,
                None => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn request_rotation(&mut self) {
        self.state.is_asked = true;
    }

    fn end_file(&mut self, end: EndReason) -> BoxFuture<'_, Result<(), BoxError>> {
        async move { self.end(end).await.map(drop) }.boxed()
    }

    fn written(&self) -> Written {
        self.writer.written()
    }
}

impl Put for RotatingFile {
    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        self.append(text)
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> BoxError {
    format!("cannot {what} {}: {error}", path.display()).into()
}

//! Batch intake: appends batches of lines to the journal of a durable source, each as a whole.
//!
//! In: batches, from the thread that owns the intake. Out: `read_back`, which yields their lines. When the journal or
//! its disk is full, [`Intake::take_when_room`] blocks (back-pressure) and [`Intake::take_now`] refuses the batch.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::SavedState;
use super::journal_gauge::{Bounds, JournalGauge};
use crate::disk::{is_full, retry_while_full};
use crate::error::BoxError;
use crate::item::DoneRanges;
use crate::journal::{Batch, KeyTable, OpenedJournal, SegmentIndex, Writer};
use crate::units::counted;

/// Accepts lines into a journal.
pub(super) struct Intake {
    writer: Writer,
    gauge: Arc<JournalGauge>,
    stop: CancellationToken,
}

/// Why batches were not accepted.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// There is no room for now: a clause that says where.
    Full(String),
    /// Writing the journal failed: a clause that says why. No further batch may be tried.
    Broken(String),
}

impl Intake {
    /// Opens the journal of a source.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(bounds: Bounds, saved: &SavedState) -> Result<Self, BoxError> {
        /// Segments are deleted as a whole, so a journal must have several.
        const SEGMENT: u64 = 64 << 20;
        let at = |error: io::Error| format!("the journal in {}: {error}", saved.dir.display());
        let settled = saved.files.get("").cloned().unwrap_or_default();
        let segment = SEGMENT.min(bounds.max_journal / 4);
        let opened = Writer::open(&saved.disk, &saved.dir, settled.last(), segment).map_err(at)?;
        announce(&opened, &settled);
        // Lines that are done may fill the journal; without new lines no checkpoint would trim them.
        opened.writer.index().trim_through(settled.through()).map_err(at)?;
        let gauge = JournalGauge::new(Arc::clone(opened.writer.index()), bounds);
        Ok(Self { writer: opened.writer, gauge, stop: CancellationToken::new() })
    }

    /// The segment index, which the reader shares.
    pub fn index(&self) -> &Arc<SegmentIndex> {
        self.writer.index()
    }

    /// How full the journal is.
    pub fn gauge(&self) -> &Arc<JournalGauge> {
        &self.gauge
    }

    /// Cancelled when the stream of lines is dropped: no further batch may begin.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The idempotency keys of the accepted batches.
    pub fn keys(&self) -> &KeyTable {
        self.writer.keys()
    }

    /// Accepts a batch as soon as there is room for it. After a stop it does so at once, because the lines cannot be
    /// read from the producer again.
    ///
    /// # Errors
    /// A clause that says why the journal cannot be written.
    pub fn take_when_room(&mut self, batch: &Batch) -> Result<(), String> {
        self.wait_for_room(batch.bytes() as u64)
            .and_then(|()| {
                let dir = self.index().dir().to_owned();
                retry_while_full(&dir, || self.writer.append(batch))
            })
            .map_err(|error| self.broken(&error))
    }

    /// Accepts batches with one fsync, if there is room for all. After a crash each is whole or absent.
    ///
    /// # Errors
    /// [`NotTaken::Full`] or [`NotTaken::Broken`]; then no batch was accepted.
    pub fn take_now(&mut self, batches: &[Batch]) -> Result<(), NotTaken> {
        let bytes = batches.iter().map(|batch| batch.bytes() as u64).sum();
        match self.make_room(bytes) {
            Ok(None) => self.gauge.accept(),
            Ok(Some(lack)) => {
                self.gauge.refuse(bytes);
                return Err(NotTaken::Full(lack));
            }
            Err(error) => return Err(self.not_taken(&error)),
        }
        self.writer.append_group(batches).map_err(|error| self.not_taken(&error))
    }

    /// Tells the reader that no more lines come. A failure ends the run at once: the lines before may take long, and
    /// their results may be on the same disk.
    pub fn end(self, ended: Result<(), String>, failed: oneshot::Sender<String>) {
        if let Err(why) = &ended {
            let _ = failed.send(why.clone());
        }
        self.index().end(ended);
    }

    /// Waits until the journal and its disk have room for `bytes`, or the intake is stopped.
    fn wait_for_room(&mut self, bytes: u64) -> io::Result<()> {
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        let mut is_waiting = false;
        while !self.stop.is_cancelled()
            && let Some(why) = self.gauge.lack_of_room(bytes)?
        {
            self.gauge.refuse(bytes);
            if !std::mem::replace(&mut is_waiting, true) {
                tracing::warn!(event = "journal_full", "stopped reading the input until there is room: {why}");
                let dir = self.index().dir().to_owned();
                retry_while_full(&dir, || self.writer.roll())?;
            }
            self.index().wait(&self.stop, LOOK_EVERY);
        }
        self.gauge.accept();
        if is_waiting && !self.stop.is_cancelled() {
            tracing::info!(event = "journal_has_room", "reading the input again: the journal has room");
        }
        Ok(())
    }

    /// Deletes segments that are done if there is no room for `bytes`; returns why there is still none.
    fn make_room(&mut self, bytes: u64) -> io::Result<Option<String>> {
        let Some(lack) = self.gauge.lack_of_room(bytes)? else { return Ok(None) };
        match self.writer.roll() {
            // A new segment needs room itself.
            Err(error) if is_full(&error) => Ok(Some(lack)),
            rolled => rolled.and_then(|()| self.gauge.lack_of_room(bytes)),
        }
    }

    fn not_taken(&self, error: &io::Error) -> NotTaken {
        match is_full(error) {
            true => {
                NotTaken::Full(format!("there is no room for the journal in {}: {error}", self.index().dir().display()))
            }
            false => NotTaken::Broken(self.broken(error)),
        }
    }

    fn broken(&self, error: &io::Error) -> String {
        format!("cannot write the journal in {}: {error}", self.index().dir().display())
    }
}

/// Logs the state in which earlier runs left the journal.
fn announce(opened: &OpenedJournal, settled: &DoneRanges) {
    let OpenedJournal { writer, torn, segments } = opened;
    let (index, last) = (writer.index(), settled.last());
    let (path, bytes) = (index.dir().display(), counted(torn.bytes, "byte"));
    if *segments == 0 && last > 0 {
        tracing::warn!(%path, "the journal in {path} is gone; lines accepted after line {last} are lost: send them again");
    }
    match torn.damaged {
        Some(lines) => {
            tracing::warn!(%path, "the end of the journal in {path} is damaged, and was cut off ({bytes}); {lines}");
        }
        None if torn.bytes > 0 => {
            tracing::warn!(%path, "the journal in {path} ended in {bytes} that were never accepted; they were cut off");
        }
        None => {}
    }
    let pending = index.next() - 1 - settled.count();
    if pending > 0 {
        tracing::info!("continuing with {} of earlier runs", counted(pending, "accepted line"));
    }
}

//! Reads the finished segments of a staging output as messages of whole records. It blocks on the disk, so it runs in a
//! dedicated thread.
//!
//! Message boundaries depend only on the text of a segment, so a message that is delivered again after a restart has
//! the same id.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::dead_letters::DeadLetters;
use super::{Lag, Message, Settled, Staged, StagingPlace};
use crate::disk::{Disk, DiskFile, DiskThread, Mode};
use crate::error::AtPath;
use crate::output::Files;

/// The most bytes of a message with several records: what servers accept by default.
const MESSAGE: usize = 1 << 20;

/// Bytes read at once to find the end of one record.
const PIECE: usize = 64 << 10;

/// The finished segments of a sink.
#[derive(Debug)]
pub struct Segments {
    disk: Arc<dyn Disk>,
    files: Files,
    /// The prefix of all message ids.
    prefix: String,
    /// Segments not read yet.
    waiting: VecDeque<(u64, PathBuf)>,
    current: Option<Segment>,
    dead_letters: DeadLetters,
}

/// The segment whose messages are being delivered.
#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    length: u64,
    /// The offset of the first unsettled message, and the number of its first record, from 1.
    offset: u64,
    ordinal: u64,
    /// Up to this offset, each record is a message.
    split_until: u64,
    /// The message at `offset`, once read.
    message: Option<Message>,
}

/// The extent of the next message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// As many records as fit.
    Packed,
    /// One record.
    Single,
}

impl Segments {
    /// The segments of a sink. `state_id` is the id of the data directory.
    pub fn new(disk: Arc<dyn Disk>, place: &StagingPlace, sink: Arc<str>, state_id: &str) -> Self {
        let (files, prefix) = (place.files(), format!("{state_id}-{sink}"));
        let path = place.dead_letters.clone();
        let dead_letters = DeadLetters { disk: Arc::clone(&disk), sink, path, file: None };
        Self { disk, files, prefix, waiting: VecDeque::new(), current: None, dead_letters }
    }

    /// Counts the finished segments on disk.
    ///
    /// # Errors
    /// When the segments cannot be listed or opened.
    pub fn lag(&self) -> io::Result<Lag> {
        let mut lag = Lag::default();
        for (_, path) in self.files.finished(self.disk.as_ref())? {
            lag.segments += 1;
            lag.bytes += self.disk.open(&path, Mode::Read)?.length()?;
        }
        Ok(lag)
    }

    /// The first unsettled message; `None` while there is none.
    ///
    /// # Errors
    /// When a segment cannot be read; the error contains the path.
    pub fn first_message(&mut self) -> io::Result<Option<Message>> {
        if self.current.is_none() {
            self.current = self.next_segment()?;
        }
        let Some(segment) = &mut self.current else { return Ok(None) };
        if segment.message.is_none() {
            let read = segment.read_message(&self.prefix);
            segment.message = Some(read.map_err(|error| at(&segment.path, error))?);
        }
        Ok(segment.message.clone())
    }

    /// Settles the first message. Returns the length of the segment if that completes and deletes it.
    ///
    /// # Errors
    /// When the segment cannot be deleted or the dead letter not written; the error contains the path.
    pub fn settle_message(&mut self, settled: &Settled) -> io::Result<Option<u64>> {
        let Some(segment) = &mut self.current else { return Ok(None) };
        let Some(message) = segment.message.take() else { return Ok(None) };
        match settled {
            Settled::Split => {
                segment.split_until = segment.offset + message.text.len() as u64;
                return Ok(None);
            }
            Settled::Buried(reason) => self.dead_letters.keep(&message, reason)?,
            Settled::Arrived => {}
        }
        segment.offset += message.text.len() as u64;
        segment.ordinal += message.records;
        if segment.offset < segment.length {
            return Ok(None);
        }
        let (path, length) = (segment.path.clone(), segment.length);
        self.current = None;
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path, error)),
            _ => Ok(Some(length)),
        }
    }

    /// Opens the next segment, and skips segments that were removed by others.
    fn next_segment(&mut self) -> io::Result<Option<Segment>> {
        if self.waiting.is_empty() {
            self.waiting.extend(self.files.finished(self.disk.as_ref())?);
        }
        while let Some((number, path)) = self.waiting.pop_front() {
            match self.disk.open(&path, Mode::Read) {
                Ok(file) if file.length()? == 0 => self.disk.remove(&path)?,
                Ok(file) => {
                    let length = file.length()?;
                    let (offset, ordinal, split_until, message) = (0, 1, 0, None);
                    return Ok(Some(Segment { number, path, file, length, offset, ordinal, split_until, message }));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!(event = "segment_gone", path = %path.display(), "{} was removed before its records had arrived", path.display());
                }
                Err(error) => return Err(at(&path, error)),
            }
        }
        Ok(None)
    }
}

impl Segment {
    fn read_message(&self, prefix: &str) -> io::Result<Message> {
        let cut = if self.offset < self.split_until { Cut::Single } else { Cut::Packed };
        let text = read_records(self.file.as_ref(), self.offset, cut)?;
        let hash: String = digest(&SHA256, &text).as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        // A data directory restored from a backup reuses numbers, so the id contains a hash.
        let id = format!("{prefix}-{}-{}-{hash}", self.number, self.ordinal);
        Ok(Message { id, records: memchr::memchr_iter(b'\n', &text).count() as u64, text: text.into() })
    }
}

/// Reads whole records from an offset on.
fn read_records(file: &dyn DiskFile, from: u64, cut: Cut) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut piece = if cut == Cut::Packed { MESSAGE } else { PIECE };
    loop {
        let start = text.len();
        read_piece(file, from, piece, &mut text)?;
        let end = match cut {
            Cut::Packed if start == 0 => memchr::memrchr(b'\n', &text),
            // A record longer than a piece.
            Cut::Packed | Cut::Single => memchr::memchr(b'\n', &text[start..]).map(|end| start + end),
        };
        match end {
            Some(end) => text.truncate(end + 1),
            None if text.len() > start => {
                piece = PIECE;
                continue;
            }
            None => {}
        }
        return if text.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(text) };
    }
}

/// Appends the next piece to a text that begins at offset `from`.
fn read_piece(file: &dyn DiskFile, from: u64, piece: usize, text: &mut Vec<u8>) -> io::Result<()> {
    let end = text.len() + piece;
    while text.len() < end {
        let start = text.len();
        text.resize(end, 0);
        let n = file.read_at(&mut text[start..], from + start as u64)?;
        text.truncate(start + n);
        if n == 0 {
            break;
        }
    }
    Ok(())
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), AtPath::new(path, error))
}

impl Staged for DiskThread<Segments> {
    fn first(&mut self) -> BoxFuture<'_, io::Result<Option<Message>>> {
        self.ask(Segments::first_message).boxed()
    }

    fn settle(&mut self, settled: Settled) -> BoxFuture<'_, io::Result<Option<u64>>> {
        self.ask(move |segments| segments.settle_message(&settled)).boxed()
    }
}

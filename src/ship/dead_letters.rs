//! Dead letters: records that a receiver refuses because of their contents. Each is appended with the reason to a file,
//! which is fsynced before the segment is deleted. Operators may read, move or delete the file at any time.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::Message;
use crate::disk::{Disk, DiskFile, SyncPoint};
use crate::error::BoxError;
use crate::output::{
    Cursor, Examined, FileEnd, FilePlace, Files, Fsync, OutputSettings, Parsed, RecordReader, RotatingFile,
    SavedPosition,
};

/// The dead-letter file of a sink.
#[derive(Debug)]
pub(super) struct DeadLetters {
    pub disk: Arc<dyn Disk>,
    pub sink: Arc<str>,
    pub path: PathBuf,
    /// The file, opened at the first dead letter.
    pub file: Option<RotatingFile>,
}

/// The value of the key `dead_letter`, the last key of a line.
#[derive(Serialize)]
struct Reason<'a> {
    id: &'a str,
    reason: &'a str,
    at: Timestamp,
}

impl DeadLetters {
    /// Appends the only record of a message, and fsyncs the file. Waits while the disk is full.
    ///
    /// # Errors
    /// When the file cannot be opened, written or synced.
    pub fn keep(&mut self, message: &Message, reason: &str) -> io::Result<()> {
        let line = with_reason(&message.text, &Reason { id: &message.id, reason, at: Timestamp::now() })?;
        let file = match self.file.take().filter(|file| file.place() == FilePlace::AtPath) {
            Some(file) => file,
            None => self.open().map_err(io::Error::other)?,
        };
        let file = self.file.insert(file);
        file.append(&line)?;
        file.end_batch()
    }

    fn open(&self) -> Result<RotatingFile, BoxError> {
        if let Some(dir) = self.path.parent() {
            self.disk.create_dir(dir)?;
            dir.parent().map_or(Ok(()), |above| self.disk.sync_dir(above, SyncPoint::OutputName))?;
        }
        let settings = OutputSettings {
            sink: Arc::clone(&self.sink),
            path: self.path.clone(),
            files: Files::One(self.path.clone()),
            fsync: Fsync::Batch,
            disk: Arc::clone(&self.disk),
            // Fsync the directory, too.
            saved: SavedPosition::New,
            reader: Arc::new(Letters),
        };
        Ok(settings.open()?.output)
    }
}

/// Examines the end of the file. Each line is fsynced before the next one, so a crash can tear only the last one.
#[derive(Debug)]
struct Letters;

impl RecordReader for Letters {
    /// The file is not in the checkpoint, so its records are never read.
    fn parse(&self, _text: &[u8]) -> Parsed {
        Parsed::Foreign
    }

    fn examine(&self, file: &dyn DiskFile) -> io::Result<Examined> {
        let (start, line) = last_line(file)?;
        let is_whole = line.is_empty() || serde_json::from_slice::<IgnoredAny>(&line).is_ok();
        let end = match line.last() {
            _ if !is_whole => FileEnd::Torn(start),
            None | Some(b'\n') => FileEnd::Whole,
            Some(_) => FileEnd::Lacks(b"\n"),
        };
        Ok(Examined { records: 0, end })
    }
}

/// The offset and text of the last line of a file, with its LF if it has one.
fn last_line(file: &dyn DiskFile) -> io::Result<(u64, Vec<u8>)> {
    const PIECE: u64 = 64 << 10;
    let length = file.length()?;
    let mut size = PIECE.min(length);
    loop {
        let (from, mut tail) = (length - size, Vec::new());
        Cursor::new(file, from).read_to_end(&mut tail)?;
        let before = &tail[..tail.len().saturating_sub(1)];
        match memchr::memrchr(b'\n', before) {
            Some(end) => return Ok((from + end as u64 + 1, tail.split_off(end + 1))),
            None if from == 0 => return Ok((0, tail)),
            None => size = (size * 2).min(length),
        }
    }
}

/// Adds the reason to a record as the last key.
fn with_reason(record: &[u8], reason: &Reason<'_>) -> io::Result<Vec<u8>> {
    let mut line = record.trim_ascii_end().to_owned();
    if line.pop() != Some(b'}') {
        return Err(io::Error::other("a record in the staging directory is no JSON object"));
    }
    line.extend_from_slice(b",\"dead_letter\":");
    serde_json::to_writer(&mut line, reason)?;
    line.extend_from_slice(b"}\n");
    Ok(line)
}

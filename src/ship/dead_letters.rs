//! Dead letters: records that a remote place refuses for what is in them. Each is kept as it is, with the reason, in a file that
//! is synced before its segment can go. The file is for people: they may read it, move it away or delete it at any time.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::Message;
use crate::disk::{Disk, SyncPoint};
use crate::error::BoxError;
use crate::output::{FilePlace, Files, Fsync, OutputSettings, RecordReader, RotatingFile, SavedPosition};

/// See the module.
#[derive(Debug)]
pub(super) struct DeadLetters {
    pub disk: Arc<dyn Disk>,
    pub sink: Arc<str>,
    pub path: PathBuf,
    /// Reads the end of a file that an earlier run left.
    pub reader: Arc<dyn RecordReader>,
    /// The file, once there was something to keep.
    pub file: Option<RotatingFile>,
}

/// Why a record is a dead letter; the last key of its line.
#[derive(Serialize)]
struct Reason<'a> {
    id: &'a str,
    reason: &'a str,
    at: Timestamp,
}

impl DeadLetters {
    /// Keeps the only record of a message. It lasts when this returns.
    ///
    /// # Errors
    /// What the system says, other than that there is no room: that is waited for.
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
            // Its name is to last, too.
            saved: SavedPosition::New,
            reader: Arc::clone(&self.reader),
        };
        Ok(settings.open()?.output)
    }
}

/// The record with the reason as its last key.
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

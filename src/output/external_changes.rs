//! What other programs do to the file that is written: they delete it, rename it, put another one in its place, truncate it.
//! It is looked at whenever the output is flushed, which is before each checkpoint.
//!
//! The records of a deleted file that were flushed before are gone, and a warning says how many; those since then are
//! copied to the new file at its path, for the checkpoint is about to call their lines done. A file that was renamed
//! keeps its records, and the sink goes on in a new one as after a SIGUSR1.

use std::io;

use super::repair::repair;
use super::rotating_file::{ActiveFile, FilePlace, RotatingFile, Written};
use crate::disk::{DiskFile, append_when_room};
use crate::units::{Size, counted};

impl Written {
    fn nothing(file: &dyn DiskFile) -> io::Result<Self> {
        let length = file.length()?;
        Ok(Self { before: length, flushed: length, appended: 0, records: 0, unflushed: 0 })
    }

    /// What is lost with everything that was flushed.
    fn lost(&self) -> String {
        let records = counted(self.records, "record");
        match self.before {
            0 => format!("{records} of this run"),
            before => format!("{records} of this run, and {} from before", Size(before)),
        }
    }
}

impl RotatingFile {
    /// Watches the active file from here on: before the run begins, recovery itself cuts it.
    ///
    /// # Errors
    /// When the length of the file cannot be read.
    pub fn watch(&mut self) -> io::Result<()> {
        self.written = Some(Written::nothing(self.active.file.as_ref())?);
        Ok(())
    }

    /// Counts records that were appended.
    pub fn count(&mut self, records: u64) {
        if let Some(written) = &mut self.written {
            written.unflushed += records;
        }
    }

    /// Counts bytes that were appended.
    pub(super) fn count_bytes(&mut self, bytes: usize) {
        if let Some(written) = &mut self.written {
            written.appended += bytes as u64;
        }
    }

    /// Where the active file is. An error but the absence of the file proves nothing.
    pub fn place(&self) -> FilePlace {
        let ActiveFile { file, path, .. } = &self.active;
        let is_at_path = match self.disk.id_at(path) {
            Ok(id) => id == file.id(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        match file.has_name() {
            _ if is_at_path => FilePlace::AtPath,
            Ok(false) => FilePlace::Deleted,
            Ok(true) | Err(_) => FilePlace::Renamed,
        }
    }

    /// Looks for what others did to the active file since the last flush.
    pub(super) fn check_file(&mut self) -> io::Result<()> {
        let Some(written) = self.written else { return Ok(()) };
        if self.place() == FilePlace::Deleted {
            self.replace_deleted(written)?;
        } else {
            self.check_length()?;
        }
        let length = self.active.file.length()?;
        if let Some(written) = &mut self.written {
            (written.flushed, written.appended) = (length, 0);
            written.records += std::mem::take(&mut written.unflushed);
        }
        Ok(())
    }

    /// Cuts a file that was truncated back to its last whole record: nothing may be written behind a torn one.
    pub(super) fn check_length(&mut self) -> io::Result<()> {
        let Some(written) = self.written else { return Ok(()) };
        let ActiveFile { file, path, compress, .. } = &self.active;
        let length = file.length()?;
        if length >= written.flushed + written.appended {
            return Ok(());
        }
        let records = counted(written.records + written.unflushed, "record");
        tracing::warn!(path = %path.display(), "{} was truncated to {length} bytes; up to {records} of this run are gone", path.display());
        repair(file.as_ref(), *compress, self.reader.as_ref())?;
        self.watch()
    }

    /// Opens the path of a deleted file anew, and copies there what was written since the last flush. Where the directory
    /// is gone as well, it waits for that.
    fn replace_deleted(&mut self, written: Written) -> io::Result<()> {
        let ActiveFile { file: deleted, path, number, compress } = self.active.clone();
        let lost = written.lost();
        tracing::warn!(path = %path.display(), "{} was deleted; it is opened anew. Gone with it: {lost}", path.display());
        self.active = self.open_next(&path, number, compress)?;
        repair(self.active.file.as_ref(), compress, self.reader.as_ref())?;
        self.watch()?;
        self.count(written.unflushed);
        copy_end(deleted.as_ref(), written.flushed, &self.active)?;
        self.sync_names()
    }
}

/// Copies what a file has from this byte on.
fn copy_end(from: &dyn DiskFile, mut at: u64, to: &ActiveFile) -> io::Result<()> {
    const PIECE: usize = 64 << 10;
    let mut buffer = vec![0; PIECE];
    loop {
        let n = from.read_at(&mut buffer, at)?;
        if n == 0 {
            return Ok(());
        }
        append_when_room(&to.path, to.file.as_ref(), &buffer[..n])?;
        at += n as u64;
    }
}

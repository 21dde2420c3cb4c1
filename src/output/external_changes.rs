//! Detects that another program deleted, renamed, replaced or truncated the active output file. The check runs at each
//! flush, so before each checkpoint, and every second while the disk is full.
//!
//! The flushed records of a deleted file are lost, and a warning contains their number. Unflushed records are copied to
//! a new file at the path, because the next checkpoint marks their lines as done. After a rename the sink continues in
//! a new file, as after a SIGUSR1.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::Compress;
use super::deleted_end::DeletedEnd;
use super::file_names::dir_of;
use super::repair::repair;
use super::rotating_file::{ActiveFile, FilePlace, RotatingFile, Written};
use crate::disk::{
    AppendAttempts, DiskFile, RegisterOutputFile, SyncPoint, is_absent, is_full, retry_while_absent, retry_while_full,
};
use crate::units::{Size, counted};

impl Written {
    fn nothing(file: &dyn DiskFile) -> io::Result<Self> {
        let length = file.length()?;
        Ok(Self { before: length, flushed: length, appended: 0, records: 0, unflushed: 0 })
    }

    /// The flushed records and bytes, for a message about their loss.
    fn lost(&self) -> String {
        let records = counted(self.records, "record");
        match self.before {
            0 => format!("{records} of this run"),
            before => format!("{records} of this run, and {} from before", Size(before)),
        }
    }
}

impl RotatingFile {
    /// Starts to watch the active file. Recovery truncates the file before the run begins, so it is not watched
    /// earlier.
    ///
    /// # Errors
    /// When the length of the file cannot be read.
    pub fn watch(&mut self) -> io::Result<()> {
        self.written = Some(Written::nothing(self.active.file.as_ref())?);
        Ok(())
    }

    /// Sets the registry for files opened after an external change.
    pub fn register_in(&mut self, registry: Arc<dyn RegisterOutputFile>) {
        self.registry = Some(registry);
    }

    /// Counts appended records.
    pub fn count(&mut self, records: u64) {
        if let Some(written) = &mut self.written {
            written.unflushed += records;
        }
    }

    /// Counts appended bytes.
    pub(super) fn count_bytes(&mut self, bytes: usize) {
        if let Some(written) = &mut self.written {
            written.appended += bytes as u64;
        }
    }

    /// Where the active file is. Errors count as unchanged, unless they show that the path does not resolve.
    pub fn place(&self) -> FilePlace {
        let ActiveFile { file, path, .. } = &self.active;
        let is_at_path = match self.disk.id_at(path) {
            Ok(id) => id == file.id(),
            Err(error) => !is_absent(&error) && Errno::from_io_error(&error) != Some(Errno::LOOP),
        };
        match file.has_name() {
            _ if is_at_path => FilePlace::AtPath,
            Ok(false) => FilePlace::Deleted,
            Ok(true) | Err(_) => FilePlace::Renamed,
        }
    }

    /// Checks for external changes to the active file since the last flush.
    pub(super) fn check_file(&mut self) -> io::Result<()> {
        let Some(written) = self.written else { return Ok(()) };
        if self.place() == FilePlace::Deleted {
            self.free_for_checkpoint(written)?;
            self.replace_deleted(written)?;
            self.append_when_room(&[])?;
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

    /// Frees the space of a deleted file if the disk is nearly full: a checkpoint could wait for ever for that space.
    /// Otherwise programs may still read the deleted file.
    fn free_for_checkpoint(&self, written: Written) -> io::Result<()> {
        const SCARCE: u64 = 64 << 20;
        let is_scarce = || self.disk.free(&dir_of(&self.active.path)).is_ok_and(|free| free < SCARCE);
        if self.registry.is_some() && is_scarce() { self.active.file.free_start(written.flushed) } else { Ok(()) }
    }

    /// Repairs a file that another program truncated: no record may follow a partial one.
    pub(super) fn check_length(&mut self) -> io::Result<()> {
        let Some(written) = self.written else { return Ok(()) };
        let ActiveFile { file, path, compress, .. } = &self.active;
        let length = file.length()?;
        if length >= written.flushed + written.appended {
            return Ok(());
        }
        let records = counted(written.records + written.unflushed, "record");
        tracing::warn!(event = "output_truncated", path = %path.display(), "{} was truncated to {length} bytes; up to {records} of this run are gone", path.display());
        repair(file.as_ref(), *compress, self.reader.as_ref())?;
        self.watch()
    }

    /// Appends frames. While the disk is full, each attempt checks the path again, because a deleted file can be freed
    /// and the path can move to another disk.
    pub(super) fn append_when_room(&mut self, frames: &[u8]) -> io::Result<()> {
        let mut attempts = AppendAttempts::default();
        match self.try_append(&mut attempts, frames) {
            Err(error) if is_full(&error) => {}
            appended => return appended,
        }
        let path = self.active.path.clone();
        retry_while_full(&path, || {
            self.follow_path()?;
            self.try_append(&mut attempts, frames)
        })
    }

    fn try_append(&mut self, attempts: &mut AppendAttempts, frames: &[u8]) -> io::Result<()> {
        while let Some(end) = self.deleted_ends.last_mut() {
            let copied = end.copy_piece(self.active.file.as_ref())?;
            if copied == 0 {
                self.deleted_ends.pop();
            }
            self.count_bytes(copied);
        }
        attempts.append(self.active.file.as_ref(), frames)?;
        self.count_bytes(frames.len());
        Ok(())
    }

    /// Follows the path to a new file between two flushes.
    fn follow_path(&mut self) -> io::Result<()> {
        let Some(written) = self.written else { return Ok(()) };
        match self.place() {
            FilePlace::Deleted => {
                self.active.file.free_start(written.flushed)?;
                self.replace_deleted(written)
            }
            FilePlace::Renamed if self.deleted_ends.is_empty() => self.leave_renamed(),
            // A file that is renamed during the copy still gets all of it.
            FilePlace::Renamed | FilePlace::AtPath => Ok(()),
        }
    }

    /// Leaves a renamed file. The next checkpoint relies on its records but syncs only the new file, so this syncs the
    /// old one.
    fn leave_renamed(&mut self) -> io::Result<()> {
        let path = self.active.path.display();
        tracing::warn!(event = "output_moved", path = %path, "{path} was renamed or replaced; going on in a new file");
        // After a failed fsync, a retry can succeed although data is lost.
        self.active.file.sync(SyncPoint::Output).map_err(io::Error::other)?;
        self.rotate()?;
        self.register()
    }

    /// Reopens the path of a deleted file, and schedules the copy of its unflushed end. If the directory is missing as
    /// well, it waits for the directory.
    fn replace_deleted(&mut self, written: Written) -> io::Result<()> {
        let ActiveFile { path, number, compress, .. } = self.active.clone();
        let lost = written.lost();
        tracing::warn!(event = "output_deleted", path = %path.display(), "{} was deleted; the sink goes on in a new file. Gone with it: {lost}", path.display());
        let new = self.open_next(&path, number, compress)?;
        repair(new.file.as_ref(), compress, self.reader.as_ref())?;
        let deleted = std::mem::replace(&mut self.active, new);
        self.deleted_ends.push(DeletedEnd::new(deleted.file, written.flushed));
        self.watch()?;
        self.count(written.unflushed);
        self.sync_names()?;
        self.register()
    }

    /// Opens and locks the next file, and waits while its directory is missing.
    pub(super) fn open_next(&self, path: &Path, number: u64, compress: Compress) -> io::Result<ActiveFile> {
        let disk = self.disk.as_ref();
        let opened = retry_while_absent(path, || ActiveFile::open_new(disk, path, number, compress, self.fsync));
        opened.map_err(|error| match error.kind() {
            // At the start, no two sinks share a file.
            io::ErrorKind::ResourceBusy => {
                io::Error::other("another process, or another sink, is writing to this file")
            }
            _ => error,
        })
    }

    /// Registers the active file in the checkpoint.
    fn register(&self) -> io::Result<()> {
        let Some(registry) = &self.registry else { return Ok(()) };
        registry.register(&self.sink, self.position()?).map_err(io::Error::other)
    }
}

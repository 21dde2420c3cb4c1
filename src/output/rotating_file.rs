//! The rotating file behind a sink: appends records, syncs, rotates, and reports its position for the checkpoint.
//!
//! It blocks on the disk, and waits while the disk is full, so it runs in a dedicated thread (`sink::writer`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::deleted_end::DeletedEnd;
use super::file_names::{FileNames, Stage, dir_of};
use super::repair::repair;
use super::rewrite::Rewrite;
use super::{Compress, Files, Fsync, RecordReader};
use crate::disk::{Disk, DiskFile, Mark, Mode, OutputPosition, RegisterOutputFile, SyncPoint, retry_while_full};

/// The approximate text size of a compressed frame. Less compresses worse; with more, a kill loses more.
const FRAME: usize = 1 << 20;

/// An output in regular files.
#[derive(Debug)]
pub struct RotatingFile {
    pub(super) disk: Arc<dyn Disk>,
    /// The name of the sink.
    pub(super) sink: Arc<str>,
    pub(super) reader: Arc<dyn RecordReader>,
    pub(super) files: Files,
    pub(super) fsync: Fsync,
    pub(super) names_last: NamesLast,
    /// The file that records are appended to.
    pub(super) active: ActiveFile,
    /// Earlier files that a killed process did not finish.
    pub(super) unfinished: Vec<ActiveFile>,
    /// Records that are not in a frame yet.
    pub(super) text: Vec<u8>,
    /// The writes of this run to the active file; `None` before the run begins.
    pub(super) written: Option<Written>,
    /// Ends of deleted files that are copied to the active file before new records, the last one first.
    pub(super) deleted_ends: Vec<DeletedEnd>,
    /// The registry for files opened after an external change; `None` without a checkpoint.
    pub(super) registry: Option<Arc<dyn RegisterOutputFile>>,
}

/// Why directories are fsynced after files are created or renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamesLast {
    /// A checkpoint relies on them.
    ForCheckpoint,
    /// A finished file has to be whole.
    ForReaders,
    /// They are not fsynced.
    No,
}

/// An open output file.
#[derive(Clone, Debug)]
pub(super) struct ActiveFile {
    pub file: Arc<dyn DiskFile>,
    pub path: PathBuf,
    pub number: u64,
    pub compress: Compress,
}

/// Counts of this run's writes to the active file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// The length when this run began to write.
    pub before: u64,
    /// The length at the last flush.
    pub flushed: u64,
    /// Bytes appended since the last flush.
    pub appended: u64,
    /// Flushed records.
    pub records: u64,
    /// Records since the last flush.
    pub unflushed: u64,
}

/// The location of the active file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePlace {
    /// At its path, or unknown.
    AtPath,
    /// At another path; another file may be at its own.
    Renamed,
    /// At no path.
    Deleted,
}

impl ActiveFile {
    /// Opens and locks a file.
    ///
    /// # Errors
    /// When the file cannot be opened, or another process has locked it.
    pub fn open(disk: &dyn Disk, path: &Path, number: u64, compress: Compress, fsync: Fsync) -> io::Result<Self> {
        let file = retry_while_full(path, || disk.open(path, Mode::Append))?;
        if !file.try_lock()? {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing to this file"));
        }
        Ok(Self { file: fsync.apply(file), path: path.to_owned(), number, compress })
    }

    /// Opens and locks a file that is not in the checkpoint, and removes a stale rewrite file.
    ///
    /// # Errors
    /// Like `open`, or when the rewrite file cannot be removed.
    pub fn open_new(disk: &dyn Disk, path: &Path, number: u64, compress: Compress, fsync: Fsync) -> io::Result<Self> {
        let new = Self::open(disk, path, number, compress, fsync)?;
        Rewrite { disk, dir: &dir_of(path) }.discard(new.file.id())?;
        Ok(new)
    }
}

impl RotatingFile {
    /// Appends whole records, and waits while the disk is full.
    ///
    /// # Errors
    /// When the file cannot be written. A partial record is removed if possible, and no more records may be written.
    pub fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if self.active.compress == Compress::None {
            return self.write(text);
        }
        self.text.extend_from_slice(text);
        if self.text.len() >= FRAME { self.end_frame() } else { Ok(()) }
    }

    /// Ends a batch, and fsyncs it with `fsync = "batch"`.
    ///
    /// # Errors
    /// When the file cannot be written or synced.
    pub fn end_batch(&mut self) -> io::Result<()> {
        if self.fsync == Fsync::Batch {
            self.end_frame()?;
            self.active.file.sync(SyncPoint::Output)?;
        }
        Ok(())
    }

    /// Writes all records to the file, and returns its end. A deleted file is recreated.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> io::Result<Mark> {
        self.end_frame()?;
        self.check_file()?;
        let ActiveFile { file, path, .. } = &self.active;
        let position = self.position()?;
        Ok(Mark { sink: Arc::clone(&self.sink), position, file: Arc::clone(file), path: path.clone() })
    }

    /// The end of the active file.
    pub(super) fn position(&self) -> io::Result<OutputPosition> {
        let ActiveFile { file, number, .. } = &self.active;
        Ok(OutputPosition { file: file.id(), number: *number, length: file.length()? })
    }

    /// Bytes of the active file and of the buffered records.
    ///
    /// # Errors
    /// When the length cannot be read.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.active.file.length()? + self.text.len() as u64)
    }

    /// The sink's name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.sink)
    }

    /// The fsync policy.
    pub fn fsync(&self) -> Fsync {
        self.fsync
    }

    /// The path of the active file.
    pub fn path(&self) -> &Path {
        &self.active.path
    }

    /// The existing files, in the order in which they were written.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub fn present_files(&self) -> io::Result<Vec<PathBuf>> {
        self.files.present(self.disk.as_ref())
    }

    /// Switches to the next file. The caller has flushed this one, and a checkpoint covers it.
    ///
    /// # Errors
    /// When the next file cannot be opened, or this one cannot get its final name.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.end_frame()?;
        match self.files.clone() {
            Files::One(path) => self.reopen(&path),
            Files::Numbered(..) if self.active.file.length()? == 0 => Ok(()),
            Files::Numbered(names, compress) => {
                // The next file is opened first, so that another process always finds a locked file.
                let number = self.active.number + 1;
                let path = names.path(number, compress, Stage::Active);
                let next = self.open_next(&path, number, compress)?;
                let done = std::mem::replace(&mut self.active, next);
                self.give_final_name(&names, &done)?;
                self.watch()
            }
        }
    }

    /// Finishes the last file, under the same conditions as `rotate`.
    ///
    /// # Errors
    /// When the file cannot get its final name.
    pub fn finish(&mut self) -> io::Result<()> {
        self.end_frame()?;
        match &self.files {
            Files::One(_) => Ok(()),
            Files::Numbered(names, _) => self.give_final_name(names, &self.active),
        }
    }

    /// Reopens the path if it does not lead to the active file any more.
    fn reopen(&mut self, path: &Path) -> io::Result<()> {
        if self.place() == FilePlace::AtPath {
            return Ok(());
        }
        self.active = self.open_next(path, 0, Compress::None)?;
        repair(self.active.file.as_ref(), Compress::None, self.reader.as_ref())?;
        self.sync_names()?;
        self.watch()
    }

    /// Finishes the files of a killed process. The checkpoint already covers their records, because other programs may
    /// remove a finished file.
    ///
    /// # Errors
    /// When a file cannot be synced or renamed.
    pub fn finish_old_files(&mut self) -> io::Result<()> {
        let unfinished = std::mem::take(&mut self.unfinished);
        let Files::Numbered(names, _) = &self.files else { return Ok(()) };
        for old in &unfinished {
            old.file.sync(SyncPoint::OutputFound)?;
            self.rename(names, old)?;
        }
        if unfinished.is_empty() { Ok(()) } else { self.sync_names() }
    }

    /// Gives a file its final name.
    fn give_final_name(&self, names: &FileNames, done: &ActiveFile) -> io::Result<()> {
        if self.names_last == NamesLast::ForReaders {
            done.file.sync(SyncPoint::Output)?;
        }
        self.rename(names, done)?;
        self.sync_names()
    }

    /// Gives a file its final name, or removes it if it has no records.
    fn rename(&self, names: &FileNames, ActiveFile { file, path, number, compress }: &ActiveFile) -> io::Result<()> {
        if self.disk.id_at(path).ok() != Some(file.id()) {
            let path = path.display();
            tracing::warn!(event = "output_gone", %path, "{path} was renamed or removed; it gets no final name");
            return Ok(());
        }
        if file.length()? == 0 {
            return self.disk.remove(path);
        }
        let finished = names.path(*number, *compress, Stage::Finished);
        retry_while_full(&finished, || self.disk.rename(path, &finished))
    }

    /// Fsyncs the directory.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        if self.names_last == NamesLast::No {
            return Ok(());
        }
        self.disk.sync_dir(&dir_of(&self.active.path), SyncPoint::OutputName)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        /// The capacity that the buffer keeps after a large record.
        const KEEP: usize = 2 * FRAME;
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        self.write(&self.active.compress.frame(&text)?)?;
        self.text = text;
        self.text.clear();
        self.text.shrink_to(KEEP);
        Ok(())
    }

    fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        self.check_length()?;
        self.append_when_room(frames)
    }
}

//! The rotating file behind a sink: appends records, syncs, rotates, and reports its position for the checkpoint.
//!
//! It blocks on the disk, and waits while the disk is full. So it runs in a thread of its own (`sink::writer`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::deleted_end::DeletedEnd;
use super::file_names::{FileNames, Stage, dir_of};
use super::repair::repair;
use super::rewrite::Rewrite;
use super::{Compress, Files, Fsync, RecordReader};
use crate::disk::{Disk, DiskFile, Mark, Mode, OutputPosition, RegisterOutputFile, SyncPoint, retry_while_full};

/// Text that a compressed frame has, about: less compresses worse, and more is lost when a process is killed.
const FRAME: usize = 1 << 20;

/// An output in regular files.
#[derive(Debug)]
pub struct RotatingFile {
    pub(super) disk: Arc<dyn Disk>,
    /// The sink's name.
    pub(super) sink: Arc<str>,
    pub(super) reader: Arc<dyn RecordReader>,
    pub(super) files: Files,
    pub(super) fsync: Fsync,
    pub(super) names_last: NamesLast,
    /// The file that is written.
    pub(super) active: ActiveFile,
    /// Files before it that a killed process could not finish any more.
    pub(super) unfinished: Vec<ActiveFile>,
    /// Records that are not in a frame yet.
    pub(super) text: Vec<u8>,
    /// What this run has written to the active file; nothing before the run begins.
    pub(super) written: Option<Written>,
    /// Ends of deleted files that are to be in the active file before anything else, the last one first.
    pub(super) deleted_ends: Vec<DeletedEnd>,
    /// Where a file is registered to which others led the output; nowhere without a checkpoint.
    pub(super) registry: Option<Arc<dyn RegisterOutputFile>>,
}

/// Who needs it that the names of files survive the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamesLast {
    /// A checkpoint relies on them.
    ForCheckpoint,
    /// A finished file is to be whole.
    ForReaders,
    /// Nobody.
    No,
}

/// A file that is written.
#[derive(Clone, Debug)]
pub(super) struct ActiveFile {
    pub file: Arc<dyn DiskFile>,
    pub path: PathBuf,
    pub number: u64,
    pub compress: Compress,
}

/// What this run has brought into the active file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Its length when this run began with it.
    pub before: u64,
    /// Its length at the last flush.
    pub flushed: u64,
    /// Bytes appended since.
    pub appended: u64,
    /// Records that were flushed.
    pub records: u64,
    /// Records since the last flush.
    pub unflushed: u64,
}

/// Where the active file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePlace {
    /// At its path, or that is not known.
    AtPath,
    /// It has another name, and perhaps another file has its own.
    Renamed,
    /// It has no name.
    Deleted,
}

impl ActiveFile {
    /// Opens and locks a file.
    ///
    /// # Errors
    /// When it cannot be opened, or another process has it.
    pub fn open(disk: &dyn Disk, path: &Path, number: u64, compress: Compress, fsync: Fsync) -> io::Result<Self> {
        let file = retry_while_full(path, || disk.open(path, Mode::Append))?;
        if !file.try_lock()? {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing to this file"));
        }
        Ok(Self { file: fsync.apply(file), path: path.to_owned(), number, compress })
    }

    /// The same for a file that the checkpoint does not know: a rewrite beside it is not of this file.
    ///
    /// # Errors
    /// The same.
    pub fn open_new(disk: &dyn Disk, path: &Path, number: u64, compress: Compress, fsync: Fsync) -> io::Result<Self> {
        let new = Self::open(disk, path, number, compress, fsync)?;
        Rewrite { disk, dir: &dir_of(path) }.discard(new.file.id())?;
        Ok(new)
    }
}

impl RotatingFile {
    /// Takes whole records.
    ///
    /// # Errors
    /// What the system says, other than that there is no room: that is waited for. Nothing is torn then, as far as
    /// possible, and nothing more may be written.
    pub fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if self.active.compress == Compress::None {
            return self.write(text);
        }
        self.text.extend_from_slice(text);
        if self.text.len() >= FRAME { self.end_frame() } else { Ok(()) }
    }

    /// The end of a batch: it is synced if each is to be.
    ///
    /// # Errors
    /// What the system says.
    pub fn end_batch(&mut self) -> io::Result<()> {
        if self.fsync == Fsync::Batch {
            self.end_frame()?;
            self.active.file.sync(SyncPoint::Output)?;
        }
        Ok(())
    }

    /// Brings all records into the file, and says where it ends. A file that was deleted is there again then.
    ///
    /// # Errors
    /// What the system says.
    pub fn flush(&mut self) -> io::Result<Mark> {
        self.end_frame()?;
        self.check_file()?;
        let ActiveFile { file, path, .. } = &self.active;
        let position = self.position()?;
        Ok(Mark { sink: Arc::clone(&self.sink), position, file: Arc::clone(file), path: path.clone() })
    }

    /// Where the file ends that is written.
    pub(super) fn position(&self) -> io::Result<OutputPosition> {
        let ActiveFile { file, number, .. } = &self.active;
        Ok(OutputPosition { file: file.id(), number: *number, length: file.length()? })
    }

    /// Bytes of the file that is written, and of the records that wait for it.
    ///
    /// # Errors
    /// What the system says.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.active.file.length()? + self.text.len() as u64)
    }

    /// The sink's name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.sink)
    }

    /// When its records are made to last.
    pub fn fsync(&self) -> Fsync {
        self.fsync
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.active.path
    }

    /// Its files that are there, in the order in which they were written.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub fn present_files(&self) -> io::Result<Vec<PathBuf>> {
        self.files.present(self.disk.as_ref())
    }

    /// Goes on in another file. This one was flushed, and a checkpoint relies on that, before.
    ///
    /// # Errors
    /// When the next file cannot be opened, or this one cannot get its final name.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.end_frame()?;
        match self.files.clone() {
            Files::One(path) => self.reopen(&path),
            Files::Numbered(..) if self.active.file.length()? == 0 => Ok(()),
            Files::Numbered(names, compress) => {
                // The next one is there before: an active file is what another process finds locked.
                let number = self.active.number + 1;
                let path = names.path(number, compress, Stage::Active);
                let next = self.open_next(&path, number, compress)?;
                let done = std::mem::replace(&mut self.active, next);
                self.give_final_name(&names, &done)?;
                self.watch()
            }
        }
    }

    /// Ends with this file, under the same conditions.
    ///
    /// # Errors
    /// When it cannot get its final name.
    pub fn finish(&mut self) -> io::Result<()> {
        self.end_frame()?;
        match &self.files {
            Files::One(_) => Ok(()),
            Files::Numbered(names, _) => self.give_final_name(names, &self.active),
        }
    }

    /// Opens the path anew: by now it may be another file, or none.
    fn reopen(&mut self, path: &Path) -> io::Result<()> {
        if self.place() == FilePlace::AtPath {
            return Ok(());
        }
        self.active = self.open_next(path, 0, Compress::None)?;
        repair(self.active.file.as_ref(), Compress::None, self.reader.as_ref())?;
        self.sync_names()?;
        self.watch()
    }

    /// Finishes what a killed process could not finish any more. What was in it is remembered by now, as whoever finds a
    /// finished file may take it away.
    ///
    /// # Errors
    /// What the system says.
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

    /// A file without records gets no final name: it goes.
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

    /// Makes the names of files last.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        if self.names_last == NamesLast::No {
            return Ok(());
        }
        self.disk.sync_dir(&dir_of(&self.active.path), SyncPoint::OutputName)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        /// A buffer that one large record blew up is not kept.
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

//! Opens an output: finds its files, locks the active file, and reads the records after the saved position.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_names::{FileNames, NumberedFile, Stage, dir_of};
use super::repair::{Before, repair};
use super::rewrite::Rewrite;
use super::rotating_file::{ActiveFile, NamesLast, RotatingFile};
use super::tail::{Tail, TailFile};
use super::{Compress, Files, Fsync, RecordReader};
use crate::disk::{Disk, Mode, OutputPosition};
use crate::error::{AtPath, BoxError};
use crate::units::counted;

/// The settings of an output.
#[derive(Debug)]
pub struct OutputSettings {
    /// The name of the sink, for marks.
    pub sink: Arc<str>,
    /// The path in the configuration.
    pub path: PathBuf,
    /// The files of the output.
    pub files: Files,
    /// When records are fsynced.
    pub fsync: Fsync,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The position in the checkpoint.
    pub saved: SavedPosition,
    /// Parses the records of the sink.
    pub reader: Arc<dyn RecordReader>,
}

/// The position of an output in the checkpoint.
#[derive(Clone, Debug)]
pub enum SavedPosition {
    /// There is no checkpoint.
    No,
    /// The checkpoint does not have this output yet.
    New,
    /// The checkpoint covers the files up to these positions.
    Until(Vec<OutputPosition>),
}

/// An opened output, and its tail.
#[derive(Debug)]
pub struct OpenedOutput {
    /// The output.
    pub output: RotatingFile,
    /// The records after the last checkpoint.
    pub tail: Tail,
    /// A sentence for the operator.
    pub note: Option<String>,
}

/// The arguments that all steps share.
struct Opener<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    fsync: Fsync,
    reader: &'a dyn RecordReader,
    /// The positions in the checkpoint.
    positions: &'a [OutputPosition],
}

impl OutputSettings {
    /// Opens and locks the output, repairs partial records of a killed process, and reads the records after the
    /// position.
    ///
    /// # Errors
    /// When the output cannot be opened or read, or another process has locked it.
    pub fn open(self) -> Result<OpenedOutput, BoxError> {
        let at = |path: &Path, error| AtPath::new(path, error);
        let positions: &[OutputPosition] = match &self.saved {
            SavedPosition::Until(positions) => positions,
            SavedPosition::No | SavedPosition::New => &[],
        };
        let (disk, reader) = (self.disk.as_ref(), self.reader.as_ref());
        let opener = Opener { disk, path: &self.path, fsync: self.fsync, reader, positions };
        let found = match &self.files {
            Files::One(_) => opener.one(),
            Files::Numbered(names, compress) => opener.numbered(names, *compress),
        };
        let Found { active, unfinished, mut tail, note } = found.map_err(|error| at(&self.path, error))?;
        let output = RotatingFile {
            names_last: self.names_last(),
            disk: self.disk,
            sink: self.sink,
            reader: self.reader,
            files: self.files,
            fsync: self.fsync,
            active,
            unfinished,
            text: Vec::new(),
            written: None,
            deleted_ends: Vec::new(),
            registry: None,
        };
        let done = output.sync_names().and_then(|()| tail.go_on(&output));
        done.map_err(|error| at(output.path(), error))?;
        Ok(OpenedOutput { output, tail, note })
    }

    fn names_last(&self) -> NamesLast {
        match (self.fsync, &self.saved, &self.files) {
            (Fsync::Never, ..) | (_, SavedPosition::No, Files::One(_)) => NamesLast::No,
            (_, SavedPosition::No, Files::Numbered(..)) => NamesLast::ForReaders,
            (_, SavedPosition::New | SavedPosition::Until(_), _) => NamesLast::ForCheckpoint,
        }
    }
}

/// The files of an output, and their tail.
struct Found {
    active: ActiveFile,
    /// Files that a killed process did not finish.
    unfinished: Vec<ActiveFile>,
    tail: Tail,
    note: Option<String>,
}

impl Opener<'_> {
    /// Opens a single file, which may have been renamed since.
    fn one(&self) -> io::Result<Found> {
        let active = ActiveFile::open(self.disk, self.path, 0, Compress::None, self.fsync)?;
        let file_tails = self.remembered(Some(&active))?;
        let before = self.repair_others(std::slice::from_ref(&active), &file_tails)?;
        let tail = Tail::read(file_tails, self.reader)?;
        let note = note(self.path, &tail).or_else(|| before.note(self.path));
        Ok(Found { active, unfinished: Vec::new(), tail, note })
    }

    /// Opens numbered files. The last one is continued if it is unfinished and has the same compression.
    fn numbered(&self, names: &FileNames, compress: Compress) -> io::Result<Found> {
        let files = names.list(self.disk)?;
        let mut unfinished = Vec::new();
        for file in files.iter().filter(|file| file.stage == Stage::Active) {
            let NumberedFile { path, number, compress, .. } = file;
            unfinished.push(ActiveFile::open(self.disk, path, *number, *compress, self.fsync)?);
        }
        if let Some(last) = unfinished.last() {
            self.be_alone(names, last)?;
        }
        let file_tails = self.remembered(None)?;
        let before = self.repair_others(&unfinished, &file_tails)?;
        let tail = Tail::read(file_tails, self.reader)?;
        let last = unfinished.pop_if(|last| last.compress == compress && files.iter().all(|f| f.number <= last.number));
        if let Some(active) = last {
            let note = note(&active.path, &tail).or_else(|| before.note(&active.path));
            return Ok(Found { active, unfinished, tail, note });
        }
        let number = files.last().map_or(0, |file| file.number).max(self.used()) + 1;
        let path = names.path(number, compress, Stage::Active);
        let active = ActiveFile::open_new(self.disk, &path, number, compress, self.fsync)?;
        self.be_alone(names, &active)?;
        let note = note(&path, &tail);
        Ok(Found { active, unfinished, tail, note })
    }

    /// The last number used. It is not reused even if its file was removed, unless the file was empty.
    fn used(&self) -> u64 {
        let used =
            self.positions.iter().map(|position| position.number.saturating_sub(u64::from(position.length == 0)));
        used.max().unwrap_or(0)
    }

    /// Detects another process that has rotated to its next file in the meantime.
    fn be_alone(&self, names: &FileNames, active: &ActiveFile) -> io::Result<()> {
        let files = names.list(self.disk)?;
        if files.iter().all(|file| file.number < active.number || file.path == active.path) {
            return Ok(());
        }
        if active.file.length()? == 0 {
            self.disk.remove(&active.path)?;
        }
        Err(io::Error::other("another process is writing to these files"))
    }

    /// Repairs the active files that are not in the checkpoint, and returns the contents of the last one.
    fn repair_others(&self, active: &[ActiveFile], tail: &[TailFile]) -> io::Result<Before> {
        let mut before = Before::default();
        for ActiveFile { file, compress, .. } in active {
            if tail.iter().all(|file_tail| file_tail.file.id() != file.id()) {
                self.rewrite(|rewrite| rewrite.discard(file.id()))?;
                before = repair(file.as_ref(), *compress, self.reader)?;
            }
        }
        Ok(before)
    }

    /// The tails of the files in the checkpoint, as far as they exist. `now` is the file at the path.
    fn remembered(&self, now: Option<&ActiveFile>) -> io::Result<Vec<TailFile>> {
        let mut file_tails = Vec::new();
        for position in self.positions {
            let path = match now {
                Some(now) if now.file.id() == position.file => Some(self.path.to_owned()),
                _ => self.find(position)?,
            };
            if path.is_none() {
                self.rewrite(|rewrite| rewrite.discard(position.file))?;
            }
            match path {
                Some(path) => file_tails.extend(self.file_tail(&path, position)?),
                // Finished numbered files may be removed.
                None if position.number == 0 && position.length > 0 => {
                    self.warn("its file does not exist any more");
                }
                None => {}
            }
        }
        Ok(file_tails)
    }

    fn rewrite(&self, act: impl FnOnce(Rewrite<'_>) -> io::Result<()>) -> io::Result<()> {
        act(Rewrite { disk: self.disk, dir: &dir_of(self.path) })
    }

    /// The tail of a file, unless the file was changed before its position.
    fn file_tail(&self, path: &Path, position: &OutputPosition) -> io::Result<Option<TailFile>> {
        let file = self.fsync.apply(self.disk.open(path, Mode::Append)?);
        let (number, compress, from) = (position.number, compress_of(self.path, path), position.length);
        let file_tail = TailFile { file, number, compress, from };
        if reaches(&file_tail)? {
            self.rewrite(|rewrite| rewrite.finish(file_tail.file.as_ref(), from))?;
            return Ok(Some(file_tail));
        }
        self.rewrite(|rewrite| rewrite.discard(position.file))?;
        self.warn(&format!("{} was changed by another program", path.display()));
        Ok(None)
    }

    /// Finds a file that may have been renamed.
    fn find(&self, position: &OutputPosition) -> io::Result<Option<PathBuf>> {
        for path in self.disk.list(&dir_of(self.path))? {
            // An unreadable file does not belong to this output.
            if self.disk.open(&path, Mode::Read).is_ok_and(|file| file.id() == position.file) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn warn(&self, what: &str) {
        tracing::warn!(
            "the sink of {} cannot go on where it was: {what}; lines whose records came after the last checkpoint are fetched again",
            self.path.display()
        );
    }
}

fn compress_of(own: &Path, found: &Path) -> Compress {
    FileNames::like(own).numbered(found.to_owned()).map_or(Compress::None, |file| file.compress)
}

/// Whether the file reaches its saved position, and a record ends there.
fn reaches(file_tail: &TailFile) -> io::Result<bool> {
    let TailFile { file, compress, from, .. } = file_tail;
    let mut last = [b'\n'];
    if *from > 0 && *compress == Compress::None {
        file.read_at(&mut last, from - 1)?;
    }
    Ok(file.length()? >= *from && last == *b"\n")
}

fn note(path: &Path, tail: &Tail) -> Option<String> {
    let records = counted(tail.len() as u64, "record");
    let path = path.display();
    match tail.torn {
        0 if tail.is_empty() => None,
        0 => Some(format!("appending to {path}; {records} came after the last checkpoint")),
        torn => Some(format!(
            "appending to {path}; {records} came after the last checkpoint, and an unfinished end ({torn} bytes) was cut off"
        )),
    }
}

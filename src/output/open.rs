//! Opens an output: finds its files, locks the one that is written, and reads what lies behind the saved position.

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

/// An output as its sink describes it.
#[derive(Debug)]
pub struct OutputSettings {
    /// The sink's name, which marks carry.
    pub sink: Arc<str>,
    /// The path in the configuration.
    pub path: PathBuf,
    /// Its files.
    pub files: Files,
    /// When records are made to last.
    pub fsync: Fsync,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// What is remembered of it.
    pub saved: SavedPosition,
    /// Reads its records back.
    pub reader: Arc<dyn RecordReader>,
}

/// What a checkpoint remembers of an output.
#[derive(Clone, Debug)]
pub enum SavedPosition {
    /// There is no checkpoint.
    No,
    /// Nothing yet.
    New,
    /// Its files are accounted for until here.
    Until(Vec<OutputPosition>),
}

/// An output that was opened, and what was in it.
#[derive(Debug)]
pub struct OpenedOutput {
    /// Where records go.
    pub output: RotatingFile,
    /// What came after the last checkpoint.
    pub tail: Tail,
    /// A sentence for the person who started the run.
    pub note: Option<String>,
}

/// What all steps need.
struct Opener<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    fsync: Fsync,
    reader: &'a dyn RecordReader,
    /// What is remembered.
    positions: &'a [OutputPosition],
}

impl OutputSettings {
    /// Opens and locks the output, repairs what a killed process left unfinished, and reads what lies behind the position.
    ///
    /// # Errors
    /// When it cannot be opened or read, or another process writes to it.
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

/// The files of an output, and what is in them.
struct Found {
    active: ActiveFile,
    /// Files that a killed process could not finish.
    unfinished: Vec<ActiveFile>,
    tail: Tail,
    note: Option<String>,
}

impl Opener<'_> {
    /// One file, which may have got another name since.
    fn one(&self) -> io::Result<Found> {
        let active = ActiveFile::open(self.disk, self.path, 0, Compress::None, self.fsync)?;
        let file_tails = self.remembered(Some(&active))?;
        let before = self.repair_others(std::slice::from_ref(&active), &file_tails)?;
        let tail = Tail::read(file_tails, self.reader)?;
        let note = note(self.path, &tail).or_else(|| before.note(self.path));
        Ok(Found { active, unfinished: Vec::new(), tail, note })
    }

    /// Files with numbers, of which the last may not be finished.
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

    /// The last number that was used. It is not used again, even when its file was taken away; an empty one is as good as
    /// none.
    fn used(&self) -> u64 {
        let used =
            self.positions.iter().map(|position| position.number.saturating_sub(u64::from(position.length == 0)));
        used.max().unwrap_or(0)
    }

    /// A process that went on to its next file while this one looked is found by what it left behind.
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

    /// Repairs the active files of which nothing is remembered, and says what was in the last of them.
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

    /// The remembered files from the remembered positions on, as far as they are there; `now` is the one at the path.
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
                // A numbered file may be taken away once it is finished.
                None if position.number == 0 && position.length > 0 => {
                    self.warn("the file that it wrote to is not there any more");
                }
                None => {}
            }
        }
        Ok(file_tails)
    }

    fn rewrite(&self, act: impl FnOnce(Rewrite<'_>) -> io::Result<()>) -> io::Result<()> {
        act(Rewrite { disk: self.disk, dir: &dir_of(self.path) })
    }

    /// A file from its position on, unless that is of no use.
    fn file_tail(&self, path: &Path, position: &OutputPosition) -> io::Result<Option<TailFile>> {
        let file = self.fsync.apply(self.disk.open(path, Mode::Append)?);
        let (number, compress, from) = (position.number, compress_of(self.path, path), position.length);
        let file_tail = TailFile { file, number, compress, from };
        if reaches(&file_tail)? {
            self.rewrite(|rewrite| rewrite.finish(file_tail.file.as_ref(), from))?;
            return Ok(Some(file_tail));
        }
        self.rewrite(|rewrite| rewrite.discard(position.file))?;
        self.warn(&format!("{} was changed by someone else", path.display()));
        Ok(None)
    }

    /// Finds a file that may have got another name.
    fn find(&self, position: &OutputPosition) -> io::Result<Option<PathBuf>> {
        for path in self.disk.list(&dir_of(self.path))? {
            // What cannot be read is none of ours.
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

/// Whether a file is at least as long as remembered, with a record ending there.
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

//! Opens an output: finds its files, locks the one that is written, and reads what lies behind the saved position.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_names::{FileNames, NumberedFile, Stage, dir_of};
use super::frames::Compress;
use super::repair::{Before, repair};
use super::rotating_file::{ActiveFile, Files, NamesLast, RotatingFile};
use super::tail::{Tail, TailFile};
use super::{Fsync, Jsonl, fsync_policy};
use crate::disk::{Disk, Mode, OutputPosition};
use crate::error::{AtPath, BoxError};
use crate::sink::{Opening, SavedPosition};
use crate::units::counted;

/// An output that was opened, and what was in it.
pub(super) struct OpenedOutput {
    pub output: RotatingFile,
    pub tail: Tail,
    pub note: Option<String>,
}

/// What all steps need.
struct Opener<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    fsync: Fsync,
    /// What is remembered.
    positions: &'a [OutputPosition],
}

pub(super) fn open(jsonl: &Jsonl, opening: &Opening) -> Result<OpenedOutput, BoxError> {
    let positions: &[OutputPosition] = match &opening.kept {
        SavedPosition::Until(positions) => positions,
        SavedPosition::No | SavedPosition::New => &[],
    };
    let (disk, path) = (opening.disk.as_ref(), jsonl.path.as_path());
    let opener = Opener { disk, path, fsync: jsonl.fsync, positions };
    let files = jsonl.files();
    let (active, unfinished, tail, note) = match &files {
        Files::One(_) => opener.one().map(|(active, tail, note)| (active, Vec::new(), tail, note)),
        Files::Numbered(names, compress) => opener.numbered(names, *compress),
    }
    .map_err(|error| AtPath::new(&jsonl.path, error))?;
    let names_last = NamesLast::of(&opening.kept, jsonl.fsync, &files);
    let output = RotatingFile {
        disk: Arc::clone(&opening.disk),
        sink: Arc::clone(&opening.name),
        files,
        fsync: jsonl.fsync,
        names_last,
        active,
        unfinished,
        text: Vec::new(),
    };
    let mut tail = tail;
    let done = output.sync_names().and_then(|()| tail.go_on(&output));
    done.map_err(|error| AtPath::new(output.path(), error))?;
    Ok(OpenedOutput { output, tail, note })
}

/// The file that grows, those that a killed process could not finish, what is in them, and what there is to say.
type Opened = (ActiveFile, Vec<ActiveFile>, Tail, Option<String>);

impl Opener<'_> {
    /// One file, which may have got another name since.
    fn one(&self) -> io::Result<(ActiveFile, Tail, Option<String>)> {
        let active = ActiveFile::open(self.disk, self.path, 0, Compress::None, self.fsync)?;
        let file_tails = self.remembered(Some(&active))?;
        let before = self.repair_others(std::slice::from_ref(&active), &file_tails)?;
        let tail = Tail::read(file_tails)?;
        let note = note(self.path, &tail).or_else(|| before.note(self.path));
        Ok((active, tail, note))
    }

    /// Files with numbers, of which the last may not be finished.
    fn numbered(&self, names: &FileNames, compress: Compress) -> io::Result<Opened> {
        let files = names.list(self.disk)?;
        let mut active = Vec::new();
        for file in files.iter().filter(|file| file.stage == Stage::Active) {
            let NumberedFile { path, number, compress, .. } = file;
            active.push(ActiveFile::open(self.disk, path, *number, *compress, self.fsync)?);
        }
        if let Some(last) = active.last() {
            self.be_alone(names, last)?;
        }
        let file_tails = self.remembered(None)?;
        let before = self.repair_others(&active, &file_tails)?;
        let tail = Tail::read(file_tails)?;
        let last = active.pop_if(|last| last.compress == compress && files.iter().all(|f| f.number <= last.number));
        if let Some(last) = last {
            let note = note(&last.path, &tail).or_else(|| before.note(&last.path));
            return Ok((last, active, tail, note));
        }
        let number = files.last().map_or(0, |file| file.number).max(self.used()) + 1;
        let path = names.path(number, compress, Stage::Active);
        let new = ActiveFile::open(self.disk, &path, number, compress, self.fsync)?;
        self.be_alone(names, &new)?;
        let note = note(&path, &tail);
        Ok((new, active, tail, note))
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
                before = repair(file.as_ref(), *compress)?;
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

    /// A file from its position on, unless that is of no use.
    fn file_tail(&self, path: &Path, position: &OutputPosition) -> io::Result<Option<TailFile>> {
        let file = fsync_policy::apply(self.disk.open(path, Mode::Append)?, self.fsync);
        let (number, compress, from) = (position.number, compress_of(self.path, path), position.length);
        let file_tail = TailFile { file, number, compress, from };
        if reaches(&file_tail)? {
            return Ok(Some(file_tail));
        }
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

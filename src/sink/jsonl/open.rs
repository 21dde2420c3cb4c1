//! Opens an output: finds its files, locks the one that grows, and reads what is behind the remembered position.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frames::Compress;
use super::names::{Names, Numbered, Stage, dir_of};
use super::output::{Files, Growing, NamesLast, Output};
use super::repair::{Before, repair};
use super::tail::{Stretch, Tail};
use super::{Fsync, Jsonl, lasting};
use crate::disk::{Disk, Mode, Position};
use crate::error::{AtPath, BoxError};
use crate::sink::{Kept, Opening};
use crate::units::counted;

/// An output that was opened, and what was in it.
pub(super) struct Found {
    pub output: Output,
    pub tail: Tail,
    pub note: Option<String>,
}

/// What all steps need.
struct Opener<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    fsync: Fsync,
    /// What is remembered.
    positions: &'a [Position],
}

pub(super) fn open(jsonl: &Jsonl, opening: &Opening) -> Result<Found, BoxError> {
    let positions: &[Position] = match &opening.kept {
        Kept::Until(positions) => positions,
        Kept::No | Kept::New => &[],
    };
    let (disk, path) = (opening.disk.as_ref(), jsonl.path.as_path());
    let opener = Opener { disk, path, fsync: jsonl.fsync, positions };
    let files = jsonl.files();
    let (growing, unfinished, tail, note) = match &files {
        Files::One(_) => opener.one().map(|(growing, tail, note)| (growing, Vec::new(), tail, note)),
        Files::Numbered(names, compress) => opener.numbered(names, *compress),
    }
    .map_err(|error| AtPath::new(&jsonl.path, error))?;
    let names_last = NamesLast::of(&opening.kept, jsonl.fsync, &files);
    let output = Output {
        disk: Arc::clone(&opening.disk),
        sink: Arc::clone(&opening.name),
        files,
        fsync: jsonl.fsync,
        names_last,
        growing,
        unfinished,
        text: Vec::new(),
    };
    let mut tail = tail;
    let done = output.sync_names().and_then(|()| tail.go_on(&output));
    done.map_err(|error| AtPath::new(output.path(), error))?;
    Ok(Found { output, tail, note })
}

/// The file that grows, those that a killed process could not finish, what is in them, and what there is to say.
type Opened = (Growing, Vec<Growing>, Tail, Option<String>);

impl Opener<'_> {
    /// One file, which may have got another name since.
    fn one(&self) -> io::Result<(Growing, Tail, Option<String>)> {
        let growing = Growing::open(self.disk, self.path, 0, Compress::None, self.fsync)?;
        let stretches = self.remembered(Some(&growing))?;
        let before = self.repair_others(std::slice::from_ref(&growing), &stretches)?;
        let tail = Tail::read(stretches)?;
        let note = note(self.path, &tail).or_else(|| before.note(self.path));
        Ok((growing, tail, note))
    }

    /// Files with numbers, of which the last may not be finished.
    fn numbered(&self, names: &Names, compress: Compress) -> io::Result<Opened> {
        let files = names.list(self.disk)?;
        let mut growing = Vec::new();
        for file in files.iter().filter(|file| file.stage == Stage::Growing) {
            let Numbered { path, number, compress, .. } = file;
            growing.push(Growing::open(self.disk, path, *number, *compress, self.fsync)?);
        }
        if let Some(last) = growing.last() {
            self.be_alone(names, last)?;
        }
        let stretches = self.remembered(None)?;
        let before = self.repair_others(&growing, &stretches)?;
        let tail = Tail::read(stretches)?;
        let last = growing.pop_if(|last| last.compress == compress && files.iter().all(|f| f.number <= last.number));
        if let Some(last) = last {
            let note = note(&last.path, &tail).or_else(|| before.note(&last.path));
            return Ok((last, growing, tail, note));
        }
        let number = files.last().map_or(0, |file| file.number).max(self.used()) + 1;
        let path = names.path(number, compress, Stage::Growing);
        let new = Growing::open(self.disk, &path, number, compress, self.fsync)?;
        self.be_alone(names, &new)?;
        let note = note(&path, &tail);
        Ok((new, growing, tail, note))
    }

    /// The last number that was used. It is not used again, even when its file was taken away; an empty one is as good as
    /// none.
    fn used(&self) -> u64 {
        let used =
            self.positions.iter().map(|position| position.number.saturating_sub(u64::from(position.length == 0)));
        used.max().unwrap_or(0)
    }

    /// A process that went on to its next file while this one looked is found by what it left behind.
    fn be_alone(&self, names: &Names, growing: &Growing) -> io::Result<()> {
        let files = names.list(self.disk)?;
        if files.iter().all(|file| file.number < growing.number || file.path == growing.path) {
            return Ok(());
        }
        if growing.file.length()? == 0 {
            self.disk.remove(&growing.path)?;
        }
        Err(io::Error::other("another process is writing to these files"))
    }

    /// Repairs the growing files of which nothing is remembered, and says what was in the last of them.
    fn repair_others(&self, growing: &[Growing], tail: &[Stretch]) -> io::Result<Before> {
        let mut before = Before::default();
        for Growing { file, compress, .. } in growing {
            if tail.iter().all(|stretch| stretch.file.id() != file.id()) {
                before = repair(file.as_ref(), *compress)?;
            }
        }
        Ok(before)
    }

    /// The remembered files from the remembered positions on, as far as they are there; `now` is the one at the path.
    fn remembered(&self, now: Option<&Growing>) -> io::Result<Vec<Stretch>> {
        let mut stretches = Vec::new();
        for position in self.positions {
            let path = match now {
                Some(now) if now.file.id() == position.file => Some(self.path.to_owned()),
                _ => self.find(position)?,
            };
            match path {
                Some(path) => stretches.extend(self.stretch(&path, position)?),
                // A numbered file may be taken away once it is finished.
                None if position.number == 0 && position.length > 0 => {
                    self.warn("the file that it wrote to is not there any more");
                }
                None => {}
            }
        }
        Ok(stretches)
    }

    /// A file from its position on, unless that is of no use.
    fn stretch(&self, path: &Path, position: &Position) -> io::Result<Option<Stretch>> {
        let file = lasting::as_told(self.disk.open(path, Mode::Append)?, self.fsync);
        let (number, compress, from) = (position.number, compress_of(self.path, path), position.length);
        let stretch = Stretch { file, number, compress, from };
        if reaches(&stretch)? {
            return Ok(Some(stretch));
        }
        self.warn(&format!("{} was changed by someone else", path.display()));
        Ok(None)
    }

    /// Finds a file that may have got another name.
    fn find(&self, position: &Position) -> io::Result<Option<PathBuf>> {
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
    Names::like(own).numbered(found.to_owned()).map_or(Compress::None, |file| file.compress)
}

/// Whether a file is at least as long as remembered, with a record ending there.
fn reaches(stretch: &Stretch) -> io::Result<bool> {
    let Stretch { file, compress, from, .. } = stretch;
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

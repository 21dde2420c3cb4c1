//! The files of an output and their names.
//!
//! `results.jsonl` becomes `results-000001.jsonl.zst`, which is `results-000001.jsonl.zst.part` while it is written.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::frames::Compress;
use crate::disk::{Disk, FileId, Mode};

/// What an active file's name ends with.
const PART: &str = ".part";

/// The files that an output has.
#[derive(Clone, Debug)]
pub enum Files {
    /// One.
    One(PathBuf),
    /// One after the other, compressed like this.
    Numbered(FileNames, Compress),
}

/// The names of numbered files.
#[derive(Clone, Debug)]
pub struct FileNames {
    dir: PathBuf,
    /// `results`
    stem: OsString,
    /// `.jsonl`
    extension: OsString,
}

/// A numbered file that is there.
#[derive(Clone, Debug)]
pub(super) struct NumberedFile {
    pub number: u64,
    pub compress: Compress,
    pub stage: Stage,
    pub path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Active,
    Finished,
}

/// The directory that a file is in.
pub(super) fn dir_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Files {
    /// Numbered files with names like this path's.
    pub fn numbered(path: &Path, compress: Compress) -> Self {
        Self::Numbered(FileNames::like(path), compress)
    }

    /// Paths that are written to now or later.
    pub fn to_come(self) -> Vec<PathBuf> {
        match self {
            Self::One(path) => vec![path],
            Self::Numbered(names, compress) => names.to_come(compress),
        }
    }

    /// Those that are there, in the order in which they were written.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub(super) fn present(&self, disk: &dyn Disk) -> io::Result<Vec<PathBuf>> {
        match self {
            Self::One(path) => Ok(vec![path.clone()]),
            Self::Numbered(names, _) => Ok(names.list(disk)?.into_iter().map(|file| file.path).collect()),
        }
    }

    /// Those with numbers that are there and finished, in their order, each with its number.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub fn finished(&self, disk: &dyn Disk) -> io::Result<Vec<(u64, PathBuf)>> {
        let Self::Numbered(names, _) = self else { return Ok(Vec::new()) };
        let finished = names.list(disk)?.into_iter().filter(|file| file.stage == Stage::Finished);
        Ok(finished.map(|file| (file.number, file.path)).collect())
    }

    /// Whether one of these that have numbers has or will have this path.
    pub fn may_have(&self, path: &Path) -> bool {
        match self {
            Self::One(_) => false,
            Self::Numbered(names, _) => dir_of(path) == names.dir && names.numbered(path.to_owned()).is_some(),
        }
    }

    /// Whether a file is one of these.
    pub fn has(self, disk: &dyn Disk, file: FileId) -> bool {
        let paths = match self {
            Self::One(path) => vec![path],
            Self::Numbered(names, _) => {
                names.list(disk).unwrap_or_default().into_iter().map(|numbered| numbered.path).collect()
            }
        };
        // What cannot be opened is reported when it is opened to be written.
        let is_it = |path: &PathBuf| path.is_file() && disk.open(path, Mode::Read).is_ok_and(|f| f.id() == file);
        paths.iter().any(is_it)
    }
}

impl FileNames {
    /// Names like this path's; the end that says how a file is compressed is not said twice.
    pub(super) fn like(path: &Path) -> Self {
        let is_compressed = path.extension().is_some_and(|end| end == "gz" || end == "zst");
        let bare = if is_compressed { path.with_extension("") } else { path.to_owned() };
        let mut extension = OsString::new();
        if let Some(end) = bare.extension() {
            extension.push(".");
            extension.push(end);
        }
        Self { dir: dir_of(path), stem: bare.file_stem().unwrap_or_default().to_owned(), extension }
    }

    /// The path of a file.
    pub(super) fn path(&self, number: u64, compress: Compress, stage: Stage) -> PathBuf {
        let mut name = self.stem.clone();
        name.push(format!("-{number:06}"));
        name.push(&self.extension);
        name.push(compress.suffix());
        if stage == Stage::Active {
            name.push(PART);
        }
        self.dir.join(name)
    }

    /// Paths that files will have, active and finished. There is no last one: these are those
    /// of the next years, and some of later ones.
    fn to_come(&self, compress: Compress) -> Vec<PathBuf> {
        const MANY: u64 = 10_000;
        let path = |number| [Stage::Active, Stage::Finished].map(|stage| self.path(number, compress, stage));
        (1..MANY).chain((1..100).map(|high| high * MANY)).flat_map(path).collect()
    }

    /// The files that are there, by their numbers.
    pub(super) fn list(&self, disk: &dyn Disk) -> io::Result<Vec<NumberedFile>> {
        let paths = disk.list(&self.dir)?;
        let mut found: Vec<_> = paths.into_iter().filter_map(|path| self.numbered(path)).collect();
        found.sort_by_key(|file| file.number);
        Ok(found)
    }

    /// The numbered file that has this path; `None` when it is no such name.
    pub(super) fn numbered(&self, path: PathBuf) -> Option<NumberedFile> {
        let name = path.file_name().map(OsStr::as_bytes)?;
        let digits = name.strip_prefix(self.stem.as_bytes())?.strip_prefix(b"-")?;
        let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        let number = std::str::from_utf8(&digits[..end]).ok()?.parse().ok()?;
        let rest = digits[end..].strip_prefix(self.extension.as_bytes())?;
        let (rest, stage) = match rest.strip_suffix(PART.as_bytes()) {
            Some(rest) => (rest, Stage::Active),
            None => (rest, Stage::Finished),
        };
        let compress = Compress::ALL.into_iter().find(|compress| compress.suffix().as_bytes() == rest)?;
        Some(NumberedFile { number, compress, stage, path })
    }
}

//! The files of an output, and the names of numbered files.
//!
//! `results.jsonl` becomes `results-000001.jsonl.zst`, with the suffix `.part` while it is written.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::frames::Compress;
use crate::disk::{Disk, FileId, Mode};

/// The suffix of an active file.
const PART: &str = ".part";

/// The files of an output.
#[derive(Clone, Debug)]
pub enum Files {
    /// One file.
    One(PathBuf),
    /// Numbered files with this compression.
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

/// A numbered file that exists.
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

/// The parent directory of a file.
pub(super) fn dir_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Files {
    /// Numbered files with names derived from this path.
    pub fn numbered(path: &Path, compress: Compress) -> Self {
        Self::Numbered(FileNames::like(path), compress)
    }

    /// Paths that the output writes to now or later.
    pub fn to_come(self) -> Vec<PathBuf> {
        match self {
            Self::One(path) => vec![path],
            Self::Numbered(names, compress) => names.to_come(compress),
        }
    }

    /// The existing files, in the order in which they were written.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub(super) fn present(&self, disk: &dyn Disk) -> io::Result<Vec<PathBuf>> {
        match self {
            Self::One(path) => Ok(vec![path.clone()]),
            Self::Numbered(names, _) => Ok(names.list(disk)?.into_iter().map(|file| file.path).collect()),
        }
    }

    /// The existing finished files with their numbers, in order.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub fn finished(&self, disk: &dyn Disk) -> io::Result<Vec<(u64, PathBuf)>> {
        let Self::Numbered(names, _) = self else { return Ok(Vec::new()) };
        let finished = names.list(disk)?.into_iter().filter(|file| file.stage == Stage::Finished);
        Ok(finished.map(|file| (file.number, file.path)).collect())
    }

    /// Whether a numbered file has or will have this path.
    pub fn may_have(&self, path: &Path) -> bool {
        match self {
            Self::One(_) => false,
            Self::Numbered(names, _) => dir_of(path) == names.dir && names.numbered(path.to_owned()).is_some(),
        }
    }

    /// Whether a file belongs to this output.
    pub fn has(self, disk: &dyn Disk, file: FileId) -> bool {
        let paths = match self {
            Self::One(path) => vec![path],
            Self::Numbered(names, _) => {
                names.list(disk).unwrap_or_default().into_iter().map(|numbered| numbered.path).collect()
            }
        };
        // An unreadable file is reported when it is opened for writing.
        let is_it = |path: &PathBuf| path.is_file() && disk.open(path, Mode::Read).is_ok_and(|f| f.id() == file);
        paths.iter().any(is_it)
    }
}

impl FileNames {
    /// File names derived from this path; the suffix of the compression is not repeated.
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

    /// Paths of active and finished files to come. Their number is unlimited, so these are the next 10,000 and a sample
    /// of later ones.
    fn to_come(&self, compress: Compress) -> Vec<PathBuf> {
        const MANY: u64 = 10_000;
        let path = |number| [Stage::Active, Stage::Finished].map(|stage| self.path(number, compress, stage));
        (1..MANY).chain((1..100).map(|high| high * MANY)).flat_map(path).collect()
    }

    /// The existing files, sorted by number.
    pub(super) fn list(&self, disk: &dyn Disk) -> io::Result<Vec<NumberedFile>> {
        let paths = disk.list(&self.dir)?;
        let mut found: Vec<_> = paths.into_iter().filter_map(|path| self.numbered(path)).collect();
        found.sort_by_key(|file| file.number);
        Ok(found)
    }

    /// Parses the path of a numbered file; `None` for any other name.
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

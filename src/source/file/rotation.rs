//! Log rotation: the file at a path now, and its rotated predecessors next to it.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, FileId, Mode, RealDisk};

/// Opens the regular file at a path; `None` when nothing is there.
///
/// # Errors
/// What the system says, and when it is no regular file: others cannot be read twice.
pub(super) fn open(path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
    // Looked at before it is opened: to open a pipe is to wait for its writer.
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => return Err(io::Error::other("it is not a regular file, and only those are followed and remembered")),
        Err(error) => return absent(error),
    }
    RealDisk.open(path, Mode::Read).map(Some).or_else(absent)
}

/// Which file is at a path; `None` when nothing is there.
pub(super) fn id_at(path: &Path) -> io::Result<Option<FileId>> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(FileId { device: metadata.dev(), inode: metadata.ino() })),
        Err(error) => absent(error),
    }
}

fn absent<T>(error: io::Error) -> io::Result<Option<T>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
}

/// The files next to a path that have this number on their device.
///
/// # Errors
/// What the system says.
pub(super) fn with_inode(path: &Path, inode: u64) -> io::Result<Vec<Arc<dyn DiskFile>>> {
    let mut files = Vec::new();
    for sibling in siblings(path)?.iter().filter(|sibling| sibling.inode == inode) {
        files.extend(open(&sibling.path)?);
    }
    Ok(files)
}

/// The files that a path stood for, from this one on to the one that it stands for now, as their names tell; without
/// the last if nothing is at the path. Empty when this one is not there.
///
/// # Errors
/// What the system says.
pub(super) fn since(path: &Path, id: FileId) -> io::Result<Vec<Arc<dyn DiskFile>>> {
    // Names may change while they are read: what is seen twice was so.
    const TRIES: usize = 8;
    let ids = |files: &[Arc<dyn DiskFile>]| files.iter().map(|file| file.id()).collect::<Vec<_>>();
    let mut files = since_by_name(path, id)?;
    for _ in 0..TRIES {
        let before = std::mem::replace(&mut files, since_by_name(path, id)?);
        if ids(&before) == ids(&files) && files.first().is_none_or(|oldest| oldest.id() == id) {
            return Ok(files);
        }
    }
    Err(io::Error::other("the files next to it are renamed faster than they can be looked at"))
}

fn since_by_name(path: &Path, id: FileId) -> io::Result<Vec<Arc<dyn DiskFile>>> {
    let now = open(path)?;
    if now.as_ref().is_some_and(|now| now.id() == id) {
        return Ok(now.into_iter().collect());
    }
    let siblings = siblings(path)?;
    // A number is one device's: another's file may have it.
    let has_id = |sibling: &&Sibling| sibling.inode == id.inode && id_at(&sibling.path).is_ok_and(|at| at == Some(id));
    let Some(oldest) = siblings.iter().find(has_id) else { return Ok(Vec::new()) };
    let mut newer: Vec<_> = siblings.iter().filter(|sibling| sibling.is_newer_than(oldest)).collect();
    newer.sort_by(|a, b| a.age.cmp(&b.age));
    let mut files = Vec::new();
    for sibling in std::iter::once(oldest).chain(newer) {
        files.extend(open(&sibling.path)?);
    }
    files.extend(now);
    Ok(files)
}

/// A file next to a path.
struct Sibling {
    path: PathBuf,
    inode: u64,
    /// When it was rotated away from the path, if its name says that it was.
    age: Option<Age>,
}

impl Sibling {
    fn is_newer_than(&self, other: &Self) -> bool {
        match (&self.age, &other.age) {
            (Some(Age::Numbered(this)), Some(Age::Numbered(other))) => this > other,
            (Some(Age::Dated(this)), Some(Age::Dated(other))) => this > other,
            _ => false,
        }
    }
}

fn siblings(path: &Path) -> io::Result<Vec<Sibling>> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != name {
            found.push(Sibling { path: entry.path(), inode: entry.ino(), age: Age::of(name, &entry.file_name()) });
        }
    }
    Ok(found)
}

/// How long ago a file was rotated away; the older, the less.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    /// `urls.txt.1`, `urls.txt.2`: the file is renamed each time, so the highest number is the oldest.
    Numbered(Reverse<u32>),
    /// `urls.txt-20261123`: it keeps its name.
    Dated(String),
}

impl Age {
    /// What a name says, if it is that of a file that was rotated away from this one.
    pub fn of(name: &OsStr, other: &OsStr) -> Option<Self> {
        const LONGEST_NUMBER: usize = 4;
        let rest = other.to_str()?.strip_prefix(name.to_str()?)?.strip_prefix(['.', '-'])?;
        let is_date = |c: char| c.is_ascii_digit() || "-_.:T".contains(c);
        match rest.parse() {
            Ok(number) if rest.len() <= LONGEST_NUMBER => Some(Self::Numbered(Reverse(number))),
            _ if rest.len() > LONGEST_NUMBER && rest.starts_with(|c: char| c.is_ascii_digit()) => {
                rest.chars().all(is_date).then(|| Self::Dated(rest.to_owned()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(files: &[Arc<dyn DiskFile>]) -> Vec<String> {
        let read = |file: &Arc<dyn DiskFile>| {
            let mut buffer = [0; 16];
            let n = file.read_at(&mut buffer, 0).unwrap();
            String::from_utf8_lossy(&buffer[..n]).into()
        };
        files.iter().map(read).collect()
    }

    fn since_the_file_called(oldest: &str, names: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let id = id_at(&dir.path().join(oldest)).unwrap().unwrap();
        contents(&since(&dir.path().join("a"), id).unwrap())
    }

    #[test]
    fn files_come_from_the_oldest_to_the_newest_however_they_are_named() {
        let numbered = ["a", "a.1", "a.2", "a.10", "a.11", "a.1.gz", "b", "b.1", "ab.1", "a-20261101"];
        assert_eq!(since_the_file_called("a.10", &numbered), ["a.10", "a.2", "a.1", "a"]);
        let dated = ["a", "a-20261102", "a-20261031", "a-20261101", "a.1"];
        assert_eq!(since_the_file_called("a-20261101", &dated), ["a-20261101", "a-20261102", "a"]);
        assert_eq!(since_the_file_called("a", &numbered), ["a"]);
    }

    #[test]
    fn of_a_name_that_says_nothing_only_the_present_file_comes_after() {
        assert_eq!(since_the_file_called("old", &["a", "a.1", "old"]), ["old", "a"]);
        assert_eq!(since_the_file_called("old", &["a.1", "old"]), ["old"]);
    }
}

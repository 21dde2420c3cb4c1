//! The segment files of a journal, and their names.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile};

/// A file of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The number of its first line.
    pub first: u64,
    /// Its path.
    pub path: PathBuf,
    /// Bytes of it that hold accepted lines.
    pub length: u64,
}

impl Segment {
    /// An empty segment that begins with this line.
    pub(super) fn new(dir: &Path, first: u64) -> Self {
        // With the digits of the largest number, names sort like numbers.
        Self { first, path: dir.join(format!("{first:020}.lines")), length: 0 }
    }

    fn of(path: PathBuf) -> Option<Self> {
        let first = path.file_name()?.to_str()?.strip_suffix(".lines")?.parse().ok()?;
        Some(Self { first, path, length: 0 })
    }
}

/// The segments in a directory, in order; their lengths are not known yet.
pub fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Segment>> {
    Ok(disk.list(dir)?.into_iter().filter_map(Segment::of).collect())
}

/// Reads `length` bytes, or up to the end of the file.
pub(super) fn read(file: &dyn DiskFile, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

//! The segment files of a journal, and their names.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;

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
    /// A segment that begins with this line, and is empty.
    pub(super) fn new(dir: &Path, first: u64) -> Self {
        // As many digits as the largest number has, so that the order of names is that of numbers.
        Self { first, path: dir.join(format!("{first:020}.lines")), length: 0 }
    }

    fn of(path: PathBuf) -> Option<Self> {
        let first = path.file_name()?.to_str()?.strip_suffix(".lines")?.parse().ok()?;
        Some(Self { first, path, length: 0 })
    }
}

/// The segments in a directory, in order; their lengths are not known yet.
///
/// # Errors
/// What the system says.
pub fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Segment>> {
    Ok(disk.list(dir)?.into_iter().filter_map(Segment::of).collect())
}

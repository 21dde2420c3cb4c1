//! A generation: one of the successive files that a path has named. Next: `queue` and `resume`.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::fingerprint::Prefix;
use crate::disk::{DiskFile, FileId};
use crate::item::{FileGeneration, Position};

/// A generation in the checkpoint. Fields of later versions are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Generation {
    /// The device and inode of the file.
    pub file: FileId,
    /// The checksum of its beginning.
    pub head: Prefix,
    /// When it was written to last, in nanoseconds since 1970. Absent for what version 2 had before there were
    /// generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// Its bytes when it was last seen.
    pub length: u64,
    /// How far it was read.
    pub progress: Progress,
}

/// How far a generation was read. Of those that are begun, all but the last were read to their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Progress {
    /// It is not read: it was rotated away before the path was followed.
    Earlier,
    /// It waits for earlier generations.
    Seen,
    /// Its first line has this number.
    Begun(u64),
    /// Likewise, but it was read to its end, and its file is gone: a kill loses its unfinished lines.
    Gone(u64),
}

impl Generation {
    /// The number of its first line.
    pub fn first(&self) -> Option<u64> {
        match self.progress {
            Progress::Begun(first) | Progress::Gone(first) => Some(first),
            Progress::Earlier | Progress::Seen => None,
        }
    }

    /// Whether a file with its inode is still this generation. It is not held open, and inodes of deleted files are
    /// reused.
    pub fn is_still(&self, file: &dyn DiskFile) -> io::Result<bool> {
        let is_gone = matches!(self.progress, Progress::Gone(_));
        Ok(!is_gone && self.head.is_of(file)? && (self.head.length > 0 || file.length()? == 0))
    }

    /// Whether a file is this generation, by the checksums of its content. Device numbers may change when the machine
    /// boots.
    pub fn is_in(&self, file: &dyn DiskFile, furthest: Option<&Position>) -> io::Result<bool> {
        let read = furthest.map_or(Prefix::default(), |position| Prefix {
            length: position.end,
            sum: position.fingerprint.prefix_sum,
        });
        if read.length == 0 && self.head.length == 0 {
            return Ok(file.id() == self.file);
        }
        Ok(self.head.is_of(file)? && read.is_of(file)?)
    }
}

/// A file that waits to be read.
#[derive(Debug)]
pub(super) struct PendingFile {
    pub generation: Generation,
    /// The file, if it is held open.
    pub file: Option<Arc<dyn DiskFile>>,
    pub begin: ResumePoint,
    /// The number of its last line, if the next file's first line has a number already.
    pub last: Option<u64>,
    /// When it was first seen to replace the generation before; `None` until that is needed.
    pub since: Option<Instant>,
}

/// Where in a file reading begins.
#[derive(Clone, Debug)]
pub(super) enum ResumePoint {
    /// After this line.
    After(u64, Position),
    /// At its start; the number of its first line is known.
    Start(Arc<FileGeneration>),
    /// At its start; its lines are numbered after those before, and above this number.
    New(u64),
}

impl PendingFile {
    /// A file that was not read yet. `modified` is the time of its last write.
    pub fn new(file: Arc<dyn DiskFile>, modified: Option<i64>) -> io::Result<Self> {
        let (head, length) = (Prefix::head(file.as_ref())?, file.length()?);
        let generation = Generation { file: file.id(), head, modified, length, progress: Progress::Seen };
        Ok(Self { generation, file: Some(file), begin: ResumePoint::New(0), last: None, since: None })
    }
}

//! A generation: one of the files that a path named, one after the other. Next: `queue` and `resume`.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::fingerprint::Prefix;
use crate::disk::{DiskFile, FileId};
use crate::item::{FileGeneration, Position};

/// One of the files that a path named, one after the other, as the checkpoint remembers it. What a later version added is
/// dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Generation {
    /// Which file it was.
    pub file: FileId,
    /// Its beginning, as far as it was there.
    pub head: Prefix,
    /// When it was written to last, in nanoseconds since 1970. Absent for what version 2 had before there were generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// How many bytes it had.
    pub length: u64,
    /// How far the reading has come.
    pub progress: Progress,
}

/// How far the reading of a generation has come. Of those that are begun, all but the last were read to their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Progress {
    /// It is not read: it was next to the path before that was followed.
    Earlier,
    /// It waits for those before it.
    Seen,
    /// Its lines are numbered from this one on.
    Begun(u64),
    /// Likewise, but it was read to its end, and its file is gone: lines of it that are under way are lost at a kill.
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

    /// Whether a file with its inode still is this generation, which is not open: an inode is used again once its file is
    /// deleted.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_still(&self, file: &dyn DiskFile) -> io::Result<bool> {
        let is_gone = matches!(self.progress, Progress::Gone(_));
        Ok(!is_gone && self.head.is_of(file)? && (self.head.length > 0 || file.length()? == 0))
    }

    /// Whether a file is this generation, by all that is known of its content. A device may get another number when the
    /// machine starts.
    ///
    /// # Errors
    /// What the system says.
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

/// A file that is to be read.
#[derive(Debug)]
pub(super) struct PendingFile {
    pub generation: Generation,
    /// The file, if it is held open.
    pub file: Option<Arc<dyn DiskFile>>,
    pub begin: ResumePoint,
    /// The number of its last line, when the next file's first line has a number already.
    pub last: Option<u64>,
    /// Since when it is known to have taken the place of the one before; `None` until it is asked for.
    pub since: Option<Instant>,
}

/// Where in a file the reading begins.
#[derive(Clone, Debug)]
pub(super) enum ResumePoint {
    /// After this line.
    After(u64, Position),
    /// At its start; it is known which line that is.
    Start(Arc<FileGeneration>),
    /// At its start; its lines are counted on from those before, of which there were at least so many.
    New(u64),
}

impl PendingFile {
    /// A file of which nothing is read. `modified` says when it was written to last.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(file: Arc<dyn DiskFile>, modified: Option<i64>) -> io::Result<Self> {
        let (head, length) = (Prefix::head(file.as_ref())?, file.length()?);
        let generation = Generation { file: file.id(), head, modified, length, progress: Progress::Seen };
        Ok(Self { generation, file: Some(file), begin: ResumePoint::New(0), last: None, since: None })
    }
}

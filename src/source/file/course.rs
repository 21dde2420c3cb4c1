//! How a path is read. Next: `trail`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a trail is of, and how it is read.
#[derive(Debug)]
pub(super) struct Course {
    pub path: PathBuf,
    /// What remembers its lines, if anything does: they carry its name and their places then.
    pub journal: Option<Arc<str>>,
    /// Its source and path, as its lines carry them.
    pub source: Option<Arc<str>>,
    pub file: Option<Arc<str>>,
    pub until: Until,
    pub max_line: usize,
}

/// How far a path is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// To the end of the file.
    End,
    /// For ever. A file that was rotated away is read for this long still.
    Stopped { rotate_wait: Duration },
}

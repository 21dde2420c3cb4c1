//! The lines that are done in the last checkpoint, for `GET /v1/lines/FIRST-LAST`.

use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use crate::item::{DoneRanges, Trim};
use crate::journal::SegmentIndex;

/// Copies the done lines of each checkpoint, and passes them on to the journal, which deletes them.
#[derive(Debug)]
pub(super) struct DoneLines {
    index: Arc<SegmentIndex>,
    done: Mutex<DoneRanges>,
}

impl DoneLines {
    /// Begins with the lines that are done by earlier runs.
    pub fn new(index: Arc<SegmentIndex>, done: DoneRanges) -> Self {
        Self { index, done: Mutex::new(done) }
    }

    /// The number of the last accepted line; 0 before the first.
    pub fn last_accepted(&self) -> u64 {
        self.index.next() - 1
    }

    /// How many of these lines are not done.
    pub fn pending(&self, lines: &RangeInclusive<u64>) -> u64 {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.missing_before(lines.end().saturating_add(1)) - done.missing_before(*lines.start())
    }
}

impl Trim for DoneLines {
    fn trim(&self, done: &DoneRanges) -> io::Result<()> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone_from(done);
        self.index.trim(done)
    }
}

//! Which lines are done, as the last checkpoint has it: what `GET /v1/lines/FIRST-LAST` shows.

use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use crate::item::{DoneRanges, Trim};
use crate::journal::SegmentIndex;

/// See the module. It stands between the checkpoint and the journal, whose lines are deleted once they are done.
#[derive(Debug)]
pub(super) struct DoneLines {
    index: Arc<SegmentIndex>,
    done: Mutex<DoneRanges>,
}

impl DoneLines {
    /// Begins with what earlier runs have done.
    pub fn new(index: Arc<SegmentIndex>, done: DoneRanges) -> Self {
        Self { index, done: Mutex::new(done) }
    }

    /// The last line that was accepted; 0 when none was.
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

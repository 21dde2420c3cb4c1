//! The segment index: the segments of a journal and how far they reach, shared by its writer, its reader and the deletion of
//! segments that are done.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Segment;
use crate::disk::Disk;
use crate::item::{DoneRanges, Trim};

/// See the module. There is always a segment, the last one, that is being written.
#[derive(Debug)]
pub struct SegmentIndex {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    state: Mutex<IndexState>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct IndexState {
    pub segments: VecDeque<Segment>,
    /// The number that the next accepted line will have.
    pub next: u64,
    /// All lines up to this one are done, by the checkpoint, too.
    pub done_through: u64,
    pub state: WriterState,
    /// The segment that was read last, by the number of its first line, and how far.
    pub read: (u64, u64),
}

/// What is to be expected of the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterState {
    /// More lines may come.
    Open,
    /// No more lines come.
    Ended,
    /// No more lines come, for this reason.
    Broken(String),
}

impl SegmentIndex {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, segments: Vec<Segment>, next: u64) -> Arc<Self> {
        let state =
            IndexState { segments: segments.into(), next, done_through: 0, state: WriterState::Open, read: (0, 0) };
        Arc::new(Self { disk, dir, state: Mutex::new(state), changed: Condvar::new() })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number that the next accepted line will have.
    pub fn next(&self) -> u64 {
        self.state().next
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.state().segments.iter().map(|segment| segment.length).sum()
    }

    /// Bytes that were accepted and not read yet.
    pub fn unread_bytes(&self) -> u64 {
        let state = self.state();
        let (first, offset) = state.read;
        let unread = |segment: &Segment| match segment.first.cmp(&first) {
            Ordering::Less => 0,
            Ordering::Equal => segment.length.saturating_sub(offset),
            Ordering::Greater => segment.length,
        };
        state.segments.iter().map(unread).sum()
    }

    /// Notes up to where the segment that begins with this line was read.
    pub(super) fn note_read(&self, first: u64, offset: u64) {
        self.state().read = (first, offset);
    }

    /// Whether there is a segment that begins with this line.
    pub(super) fn has(&self, first: u64) -> bool {
        self.state().segments.iter().any(|segment| segment.first == first)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes that its disk has room for.
    ///
    /// # Errors
    /// What the system says.
    pub fn free(&self) -> io::Result<u64> {
        self.disk.free(&self.dir)
    }

    /// No more lines come, because there are none or for another reason.
    pub fn end(&self, ended: Result<(), String>) {
        self.change(|state| state.state = ended.map_or_else(WriterState::Broken, |()| WriterState::Ended));
    }

    /// Removes the segments whose lines are all done, as all up to this one are, but never the last: the numbers go on from it.
    ///
    /// # Errors
    /// What the system says.
    pub fn trim_through(&self, through: u64) -> io::Result<()> {
        self.change(|state| state.done_through = state.done_through.max(through));
        self.clear_up()
    }

    /// Removes the segments of which it is known that all their lines are done.
    pub(super) fn clear_up(&self) -> io::Result<()> {
        loop {
            let mut state = self.state();
            let is_done = |second: &Segment| second.first <= state.done_through + 1;
            // A reader must not find what is about to go.
            let done = if state.segments.get(1).is_some_and(is_done) { state.segments.pop_front() } else { None };
            drop(state);
            let Some(Segment { path, .. }) = done else { return Ok(()) };
            self.changed.notify_all();
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut IndexState)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until there is a line with this number, or none comes any more; says what is to be expected.
    pub fn wait_for(&self, seq: u64) -> WriterState {
        let waits = |state: &mut IndexState| state.next <= seq && state.state == WriterState::Open;
        let state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        state.state.clone()
    }

    /// Pulls `stop`, and lets those who wait know.
    pub fn stop(&self, stop: &CancellationToken) {
        // Under the lock no thread is between its look at `stop` and its wait.
        let state = self.state();
        stop.cancel();
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until something changes or `stop` is pulled, but not for longer than this.
    pub fn wait(&self, stop: &CancellationToken, most: Duration) {
        let state = self.state();
        if !stop.is_cancelled() {
            drop(self.changed.wait_timeout(state, most));
        }
    }

    /// Waits until no more lines come, but not for longer than this.
    pub fn wait_for_end(&self, most: Duration) {
        let waits = |state: &mut IndexState| state.state == WriterState::Open;
        drop(self.changed.wait_timeout_while(self.state(), most, waits));
    }
}

impl Trim for SegmentIndex {
    fn trim(&self, done: &DoneRanges) -> io::Result<()> {
        self.trim_through(done.through())
    }
}

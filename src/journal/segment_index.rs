//! The segment index: the segments of a journal and their lengths, shared by its writer, its reader and the deletion of
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

/// The segments of a journal. The last one, which is being written, always exists.
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
    /// The number of the next accepted line.
    pub next: u64,
    /// All lines up to this one are done in the checkpoint.
    pub done_through: u64,
    pub state: WriterState,
    /// The segment that was read last, by the number of its first line, and the offset up to which it was read.
    pub read: (u64, u64),
}

/// Whether the writer can still accept lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterState {
    /// More lines may come.
    Open,
    /// No more lines come.
    Ended,
    /// No more lines come, because of this error.
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

    /// The number of the next accepted line.
    pub fn next(&self) -> u64 {
        self.state().next
    }

    /// The bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.state().segments.iter().map(|segment| segment.length).sum()
    }

    /// Accepted bytes that were not read yet.
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

    /// Notes the offset up to which the segment that begins with line `first` was read.
    pub(super) fn note_read(&self, first: u64, offset: u64) {
        self.state().read = (first, offset);
    }

    /// Whether there is a segment that begins with this line.
    pub(super) fn has(&self, first: u64) -> bool {
        self.state().segments.iter().any(|segment| segment.first == first)
    }

    /// The directory of the journal.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Free bytes on the disk of the journal.
    pub fn free(&self) -> io::Result<u64> {
        self.disk.free(&self.dir)
    }

    /// Notes that no more lines come: the input ended, or an error ended it.
    pub fn end(&self, ended: Result<(), String>) {
        self.change(|state| state.state = ended.map_or_else(WriterState::Broken, |()| WriterState::Ended));
    }

    /// Removes the segments that have only lines up to `through`, which are done. The last one stays: line numbers
    /// continue from it.
    pub fn trim_through(&self, through: u64) -> io::Result<()> {
        self.change(|state| state.done_through = state.done_through.max(through));
        self.clear_up()
    }

    /// Removes the segments whose lines are all done.
    pub(super) fn clear_up(&self) -> io::Result<()> {
        loop {
            let mut state = self.state();
            let is_done = |second: &Segment| second.first <= state.done_through + 1;
            // Out of the index first, so that no reader opens a segment that is being deleted.
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

    /// Waits until line `seq` is accepted or no more lines come; returns the state of the writer.
    pub fn wait_for(&self, seq: u64) -> WriterState {
        let waits = |state: &mut IndexState| state.next <= seq && state.state == WriterState::Open;
        let state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        state.state.clone()
    }

    /// Cancels `stop` and wakes the waiting threads.
    pub fn stop(&self, stop: &CancellationToken) {
        // Under the lock no thread is between its check of `stop` and its wait.
        let state = self.state();
        stop.cancel();
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until the index changes or `stop` is cancelled, for at most this time.
    pub fn wait(&self, stop: &CancellationToken, most: Duration) {
        let state = self.state();
        if !stop.is_cancelled() {
            drop(self.changed.wait_timeout(state, most));
        }
    }

    /// Waits until no more lines come, for at most this time.
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

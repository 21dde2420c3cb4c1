//! What the writer, the reader and whoever clears up share of a journal: which segments there are, and how far they go.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Segment;
use crate::disk::Disk;
use crate::source::Forget;

/// See the module. There is always a segment, the last one, that is being written.
#[derive(Debug)]
pub struct Shelf {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct Held {
    pub segments: VecDeque<Segment>,
    /// The number that the next accepted line will have.
    pub next: u64,
    /// All lines up to this one are done, and that is remembered.
    pub done_through: u64,
    pub state: State,
}

/// What is to be expected of the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// More lines may come.
    Open,
    /// No more lines come.
    Ended,
    /// No more lines come, for this reason.
    Broken(String),
}

impl Shelf {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, segments: Vec<Segment>, next: u64) -> Arc<Self> {
        let held = Held { segments: segments.into(), next, done_through: 0, state: State::Open };
        Arc::new(Self { disk, dir, held: Mutex::new(held), changed: Condvar::new() })
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number that the next accepted line will have.
    pub fn next(&self) -> u64 {
        self.held().next
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.held().segments.iter().map(|segment| segment.length).sum()
    }

    /// Whether there is a segment that begins with this line.
    pub(super) fn has(&self, first: u64) -> bool {
        self.held().segments.iter().any(|segment| segment.first == first)
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
        self.change(|held| held.state = ended.map_or_else(State::Broken, |()| State::Ended));
    }

    /// Removes the segments of which it is known that all their lines are done.
    pub(super) fn clear_up(&self) -> io::Result<()> {
        loop {
            let mut held = self.held();
            let is_done = |second: &Segment| second.first <= held.done_through + 1;
            // A reader must not find what is about to go.
            let done = if held.segments.get(1).is_some_and(is_done) { held.segments.pop_front() } else { None };
            drop(held);
            let Some(Segment { path, .. }) = done else { return Ok(()) };
            self.changed.notify_all();
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held());
        self.changed.notify_all();
    }

    /// Waits until there is a line with this number, or none comes any more; says what is to be expected.
    pub fn wait_for(&self, seq: u64) -> State {
        let waits = |held: &mut Held| held.next <= seq && held.state == State::Open;
        let held = self.changed.wait_while(self.held(), waits).unwrap_or_else(PoisonError::into_inner);
        held.state.clone()
    }

    /// Pulls `stop`, and lets those who wait know.
    pub fn stop(&self, stop: &CancellationToken) {
        // With the lock in hand, nobody is between looking at it and waiting.
        let held = self.held();
        stop.cancel();
        drop(held);
        self.changed.notify_all();
    }

    /// Waits until something changes or `stop` is pulled, but not for longer than this.
    pub fn wait(&self, stop: &CancellationToken, most: Duration) {
        let held = self.held();
        if !stop.is_cancelled() {
            drop(self.changed.wait_timeout(held, most));
        }
    }

    /// Waits until no more lines come, but not for longer than this.
    pub fn wait_for_end(&self, most: Duration) {
        let waits = |held: &mut Held| held.state == State::Open;
        drop(self.changed.wait_timeout_while(self.held(), most, waits));
    }
}

impl Forget for Shelf {
    /// Removes the segments whose lines are all done, but never the last: the numbers go on from it.
    fn forget(&self, through: u64) -> io::Result<()> {
        self.change(|held| held.done_through = held.done_through.max(through));
        self.clear_up()
    }
}

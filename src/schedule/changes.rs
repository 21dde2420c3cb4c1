//! Changes that the core keeps until its caller takes them: of circuits, and of files that cannot be fetched.

use std::collections::VecDeque;

/// The most changes of a kind that are kept: a caller takes them each turn, and few turns bring as many.
pub const MOST_CHANGES: usize = 1024;

/// The changes of one kind that were not taken yet.
#[derive(Debug)]
pub(super) struct Changes<T> {
    kept: VecDeque<T>,
    dropped: u64,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), dropped: 0 }
    }
}

impl<T> Changes<T> {
    /// Keeps a change, or counts it if there is no room.
    pub fn note(&mut self, change: T) {
        if self.kept.len() < MOST_CHANGES {
            self.kept.push_back(change);
        } else {
            self.dropped += 1;
        }
    }

    /// The first change that was not taken yet.
    pub fn take(&mut self) -> Option<T> {
        self.kept.pop_front()
    }

    /// The number of changes since the last call that were not kept.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

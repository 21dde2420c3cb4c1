//! How many names were looked up, with which results, and how long that took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::item::{Durations, REQUEST_TIMES, SharedDurations};

/// What came of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUpResult {
    /// The name has addresses.
    Found,
    /// There is no such name, or it has no address.
    NotFound,
    /// Nobody knows, in time.
    TimedOut,
    /// Nobody knows.
    Failed,
    /// It was known, or another request had it looked up.
    Shared,
}

impl LookUpResult {
    /// All of them, by their numbers.
    pub const ALL: [Self; 5] = [Self::Found, Self::NotFound, Self::TimedOut, Self::Failed, Self::Shared];

    /// The word for it in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not_found",
            Self::TimedOut => "timeout",
            Self::Failed => "failed",
            Self::Shared => "shared",
        }
    }
}

/// The look-ups of a run.
#[derive(Debug)]
pub struct LookUpCounts {
    results: [AtomicU64; LookUpResult::ALL.len()],
    times: SharedDurations,
}

impl Default for LookUpCounts {
    fn default() -> Self {
        Self { results: Default::default(), times: SharedDurations::new(&REQUEST_TIMES) }
    }
}

impl LookUpCounts {
    /// Look-ups of which this came.
    pub fn of(&self, result: LookUpResult) -> u64 {
        self.results[result as usize].load(Ordering::Relaxed)
    }

    /// How long look-ups took, those left out that were shared.
    pub fn times(&self) -> Durations {
        self.times.read()
    }

    /// Counts one that took so long.
    pub(super) fn note(&self, result: LookUpResult, time: Duration) {
        self.results[result as usize].fetch_add(1, Ordering::Relaxed);
        self.times.note(time);
    }

    /// Counts one that was known, or under way.
    pub(super) fn note_shared(&self) {
        self.results[LookUpResult::Shared as usize].fetch_add(1, Ordering::Relaxed);
    }
}

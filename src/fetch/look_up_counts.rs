//! Counts DNS look-ups by result, and their times.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::item::{Durations, REQUEST_TIMES, SharedDurations};

/// The result of a DNS look-up, as counted in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUpResult {
    /// The name has addresses.
    Found,
    /// The name does not exist or has no address.
    NotFound,
    /// No name server answered in time.
    TimedOut,
    /// The name servers failed.
    Failed,
    /// The result was cached, or shared with another request's look-up.
    Shared,
}

impl LookUpResult {
    /// All results, in the order of the enum.
    pub const ALL: [Self; 5] = [Self::Found, Self::NotFound, Self::TimedOut, Self::Failed, Self::Shared];

    /// The label in metrics.
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

/// Counts and times of a run's look-ups.
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
    /// Look-ups with this result.
    pub fn of(&self, result: LookUpResult) -> u64 {
        self.results[result as usize].load(Ordering::Relaxed)
    }

    /// The times of look-ups, without shared ones.
    pub fn times(&self) -> Durations {
        self.times.read()
    }

    /// Counts a look-up and its time.
    pub(super) fn note(&self, result: LookUpResult, time: Duration) {
        self.results[result as usize].fetch_add(1, Ordering::Relaxed);
        self.times.note(time);
    }

    /// Counts a cached or shared result.
    pub(super) fn note_shared(&self) {
        self.results[LookUpResult::Shared as usize].fetch_add(1, Ordering::Relaxed);
    }
}

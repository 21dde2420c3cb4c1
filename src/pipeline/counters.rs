//! The counters of a run.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::schedule::Counts;

/// Counters of lines that shutdown and drain decide by.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines accepted.
    pub accepted: Counter,
    /// Lines whose record every sink has taken.
    pub recorded: Counter,
    /// Lines given back to their source without a record.
    pub released: Counter,
    /// Lines of durable sources that the end of the run leaves for the next start.
    pub left: Counter,
}

impl Counters {
    /// Lines accepted, and neither recorded, nor released, nor left for the next start.
    pub fn unfinished(&self) -> u64 {
        self.accepted.get().saturating_sub(self.recorded.get() + self.released.get() + self.left.get())
    }
}

/// Accepted lines by where they are, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines with a record.
    pub recorded: u64,
    /// Lines without one: the sum of the other numbers.
    pub unrecorded: u64,
    /// Lines between source and schedule, or between schedule and sinks.
    pub queued: u64,
    /// Lines that wait in the schedule.
    pub waiting: u64,
    /// Lines whose request is on the wire.
    pub in_flight: u64,
}

impl LineCounts {
    /// The lines of these counters. The view of the schedule with its `counts` is a moment older: its numbers are capped
    /// so that all add up.
    pub(super) fn of(counters: &Counters, counts: Counts) -> Self {
        // Read before the accepted lines: a line that is recorded in between was accepted before.
        let (recorded, unrecorded) = (counters.recorded.get(), counters.unfinished());
        let in_flight = (counts.in_flight as u64).min(unrecorded);
        let waiting = (counts.waiting as u64).min(unrecorded - in_flight);
        Self { recorded, unrecorded, queued: unrecorded - in_flight - waiting, waiting, in_flight }
    }
}

/// Counters for views; nothing in the pipeline decides by them.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Bytes of accepted lines, each with its line end.
    pub accepted_bytes: Counter,
    /// Blank lines skipped.
    pub blank: Counter,
    /// Lines not accepted when the run stopped: unread lines of files, and lines read from other sources.
    pub unread: Counter,
    /// 1 if the count of `unread` was broken off.
    pub uncounted: Counter,
    /// Lines accepted that are records whose response is revalidated.
    pub revalidated: Counter,
    /// Records other than `ok`.
    pub not_ok: Counter,
    /// Records `canceled`.
    pub canceled: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

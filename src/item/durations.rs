//! Histograms of durations for metrics, with bounds in microseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds for the times of requests and their parts.
pub const REQUEST_TIMES: [u64; 13] = [
    1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
    30_000_000,
];

/// Upper bounds for the times of lines, which can wait for hours.
pub const LINE_TIMES: [u64; 12] = [
    10_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    14_400_000_000,
    86_400_000_000,
];

/// A histogram of durations.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations {
    /// The upper bounds of all but the last bucket, in microseconds, in ascending order.
    pub bounds: &'static [u64],
    /// The count of each bucket; the last one has durations above all bounds.
    pub counts: Vec<u64>,
    /// The sum of all durations, in microseconds.
    pub sum: u64,
}

impl Durations {
    /// An empty histogram.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// Counts a duration.
    pub fn note(&mut self, time: Duration) {
        let (bucket, micros) = bucket_of(self.bounds, time);
        self.counts[bucket] += 1;
        self.sum += micros;
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A histogram of durations that several threads can update and read.
#[derive(Debug)]
pub struct SharedDurations {
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl SharedDurations {
    /// An empty histogram.
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a duration.
    pub fn note(&self, time: Duration) {
        let (bucket, micros) = bucket_of(self.bounds, time);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// A snapshot.
    pub fn read(&self) -> Durations {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Durations { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// The bucket of a time, and its microseconds.
fn bucket_of(bounds: &[u64], time: Duration) -> (usize, u64) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    (bounds.partition_point(|bound| *bound < micros), micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let (mut own, shared) = (Durations::new(&[1_000, 2_000]), SharedDurations::new(&[1_000, 2_000]));
        for micros in [0, 1_000, 1_001, 2_000, 2_001, 9_000] {
            own.note(Duration::from_micros(micros));
            shared.note(Duration::from_micros(micros));
        }
        assert_eq!((own.counts.as_slice(), own.sum, own.count()), ([2, 2, 2].as_slice(), 15_002, 6));
        assert_eq!(shared.read(), own);
    }
}

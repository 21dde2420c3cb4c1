//! The last 15 min of a run: samples every 5 s for charts, and rates over 1 s, 1 min and 15 min.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::moment::{self, At};
use crate::pipeline::{LineCounts, Status};

/// Seconds between samples that are kept.
const KEEP_EVERY: u32 = 5;

/// Samples that are kept: 15 min.
const MOST: usize = 180;

/// The counts of a run at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub accepted: u64,
    pub recorded: u64,
    pub not_ok: u64,
    pub queued: u64,
    pub waiting: u64,
    pub in_flight: u64,
    /// Lines that are accepted and have no record.
    pub unrecorded: u64,
    /// The kind of the bottleneck.
    pub limit: Option<&'static str>,
}

impl Sample {
    /// The counts of now.
    pub fn of(status: &Status) -> Self {
        let LineCounts { recorded, unrecorded, queued, waiting, in_flight } = status.line_counts();
        Self {
            accepted: status.counters().accepted.get(),
            recorded,
            not_ok: status.metrics().not_ok.get(),
            queued,
            waiting,
            in_flight,
            unrecorded,
            limit: status.view().bottleneck.as_ref().map(|bottleneck| bottleneck.kind.name()),
        }
    }
}

#[derive(Debug)]
pub(super) struct History {
    /// A sample every 5 s, the oldest first.
    kept: VecDeque<(Instant, At, Sample)>,
    /// The last two samples, a second apart.
    last: [Option<(Instant, Sample)>; 2],
    ticks: u32,
}

/// A rate per second, over three spans of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rates {
    #[serde(rename = "1s")]
    pub second: f64,
    #[serde(rename = "1min")]
    pub minute: f64,
    #[serde(rename = "15min")]
    pub quarter: f64,
}

/// The samples as the rows of a table.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    every_s: u32,
    columns: [&'static str; 8],
    rows: Vec<Row>,
}

type Row = (At, u64, u64, u64, u64, u64, u64, Option<&'static str>);

impl History {
    pub fn new() -> Self {
        Self { kept: VecDeque::with_capacity(MOST), last: [None; 2], ticks: 0 }
    }

    /// Adds a sample; called every second.
    pub fn take(&mut self, sample: Sample, now: Instant) {
        self.last = [self.last[1], Some((now, sample))];
        if self.ticks.is_multiple_of(KEEP_EVERY) {
            if self.kept.len() == MOST {
                self.kept.pop_front();
            }
            self.kept.push_back((now, moment::now(), sample));
        }
        self.ticks = self.ticks.wrapping_add(1);
    }

    /// The rates at which a count grew.
    pub fn rates(&self, count: impl Fn(&Sample) -> u64) -> Rates {
        let [before, Some((now, newest))] = &self.last else { return Rates::default() };
        let since = |then: Instant, sample: &Sample| {
            let time = now.saturating_duration_since(then).as_secs_f64();
            let grown = count(newest).saturating_sub(count(sample)) as f64;
            if time > 0.0 { (grown / time * 1000.0).round() / 1000.0 } else { 0.0 }
        };
        let over = |span: Duration| {
            let kept = self.kept.iter().find(|(then, ..)| now.saturating_duration_since(*then) <= span);
            kept.map_or(0.0, |(then, _, sample)| since(*then, sample))
        };
        let second = before.as_ref().map_or(0.0, |(then, sample)| since(*then, sample));
        Rates { second, minute: over(Duration::from_secs(62)), quarter: over(Duration::from_secs(902)) }
    }

    /// All samples, the oldest first.
    pub fn table(&self) -> Table {
        let row = |(_, at, sample): &(Instant, At, Sample)| {
            let Sample { accepted, recorded, not_ok, queued, waiting, in_flight, limit, .. } = *sample;
            (*at, accepted, recorded, not_ok, queued, waiting, in_flight, limit)
        };
        Table {
            every_s: KEEP_EVERY,
            columns: ["at", "accepted", "recorded", "not_ok", "queued", "waiting", "in_flight", "limit"],
            rows: self.kept.iter().map(row).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, each: impl Fn(u64) -> u64) -> History {
        let (mut history, start) = (History::new(), Instant::now());
        for second in 0..=seconds {
            let sample = Sample { recorded: each(second), ..Sample::default() };
            history.take(sample, start + Duration::from_secs(second));
        }
        history
    }

    #[test]
    fn rates_are_over_a_second_a_minute_and_a_quarter_of_an_hour() {
        let rates = |history: &History| history.rates(|sample| sample.recorded);
        assert_eq!(rates(&History::new()), Rates::default());
        assert_eq!(rates(&after(0, |_| 7)), Rates::default());
        assert_eq!(rates(&after(2, |s| s * 10)), Rates { second: 10.0, minute: 10.0, quarter: 10.0 });
        // Nothing for a quarter of an hour, then a minute of 60 each second, then a second of 600.
        let bursts = after(1000, |s| if s < 940 { 0 } else { (s - 940) * 60 + if s == 1000 { 540 } else { 0 } });
        let Rates { second, minute, quarter } = rates(&bursts);
        assert_eq!((second, minute), (600.0, 69.0));
        assert!((quarter - 4140.0 / 900.0).abs() < 0.1, "{quarter}");
    }

    #[test]
    fn a_full_history_is_at_most_64_kib_of_json() {
        let limit = Some("host_concurrency");
        let large = u64::MAX / 1000;
        let sample = Sample {
            accepted: large,
            recorded: large,
            not_ok: large,
            queued: large,
            waiting: large,
            in_flight: large,
            unrecorded: large,
            limit,
        };
        let (mut history, start) = (History::new(), Instant::now());
        (0..5000).for_each(|second| history.take(sample, start + Duration::from_secs(second)));
        let text = serde_json::to_string(&history.table()).unwrap();
        assert_eq!(history.kept.len(), MOST);
        assert!(text.len() <= 64 << 10, "{} bytes", text.len());
    }
}

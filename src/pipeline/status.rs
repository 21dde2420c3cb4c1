//! The status of a run: counters and the last view of the schedule. Progress and summary read it. Two decisions use it: the
//! shutdown counts unfinished lines, and the drain whether another record is to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::schedule::{Bottleneck, Counts, OldestLine};

/// Written by the stages, read by whoever looks.
#[derive(Clone, Debug, Default)]
pub struct Status {
    counters: Arc<Counters>,
    view: Arc<watch::Sender<View>>,
}

impl Status {
    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the scheduler last said.
    pub fn view(&self) -> watch::Ref<'_, View> {
        self.view.borrow()
    }

    /// The scheduler says how it is.
    pub fn publish(&self, view: View) {
        self.view.send_replace(view);
    }
}

/// Counters of lines over the whole run.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines accepted.
    pub accepted: Counter,
    /// Bytes of those lines, each with its line end.
    pub accepted_bytes: Counter,
    /// Lines whose record every sink has taken.
    pub recorded: Counter,
    /// Blank lines skipped.
    pub blank: Counter,
    /// Lines read from a source and not accepted when the run stopped.
    pub unread: Counter,
    /// Records other than `ok`.
    pub not_ok: Counter,
    /// Records `canceled`.
    pub canceled: Counter,
}

impl Counters {
    /// Lines accepted and not recorded.
    pub fn unfinished(&self) -> u64 {
        self.accepted.get().saturating_sub(self.recorded.get())
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How the schedule is doing.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// How many lines are where.
    pub counts: Counts,
    /// The host of the oldest unsettled line.
    pub oldest: Option<OldestLine>,
    /// What holds the run back now.
    pub bottleneck: Option<Bottleneck>,
    /// What held the run back so far, and for how long.
    pub bottleneck_times: BottleneckTimes,
}

/// Time by bottleneck: which one the run spent most of its time under.
#[derive(Clone, Debug, Default)]
pub struct BottleneckTimes {
    spent: Vec<(Bottleneck, Duration)>,
}

impl BottleneckTimes {
    /// Notes that the run stood under this bottleneck for so long.
    pub fn note(&mut self, bottleneck: &Bottleneck, time: Duration) {
        // Limits name hosts, so there could be many: the least important one makes room.
        const MOST: usize = 32;
        if let Some((_, spent)) = self.spent.iter_mut().find(|(known, _)| known == bottleneck) {
            *spent += time;
            return;
        }
        if self.spent.len() == MOST {
            let least = self.spent.iter().enumerate().min_by_key(|(_, (_, spent))| *spent).map(|(place, _)| place);
            self.spent.swap_remove(least.unwrap_or_default());
        }
        self.spent.push((bottleneck.clone(), time));
    }

    /// The bottleneck that the run spent most of its time under, and its share.
    pub fn most(&self) -> Option<(&Bottleneck, f64)> {
        let total: Duration = self.spent.iter().map(|(_, spent)| *spent).sum();
        let (bottleneck, spent) = self.spent.iter().max_by_key(|(_, spent)| *spent)?;
        Some((bottleneck, spent.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE)))
    }
}

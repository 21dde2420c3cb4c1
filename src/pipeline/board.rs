//! The board: what the stages say of themselves while they run. Nobody decides anything by it but the way down, which
//! counts what is left, and the drain, which asks whether another record is to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::schedule::{Counts, Limit, Oldest};

/// Written by the stages, read by whoever looks.
#[derive(Clone, Debug, Default)]
pub struct Board {
    tally: Arc<Tally>,
    view: Arc<watch::Sender<View>>,
}

impl Board {
    /// The counters.
    pub fn tally(&self) -> &Tally {
        &self.tally
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
pub struct Tally {
    /// Lines accepted.
    pub accepted: Count,
    /// Bytes of those lines, each with its line end.
    pub accepted_bytes: Count,
    /// Lines whose record every sink has taken.
    pub recorded: Count,
    /// Blank lines skipped.
    pub blank: Count,
    /// Lines read from a source and not accepted when the run stopped.
    pub unread: Count,
    /// Records other than `ok`.
    pub not_ok: Count,
    /// Records `canceled`.
    pub canceled: Count,
}

impl Tally {
    /// Lines accepted and not recorded.
    pub fn unfinished(&self) -> u64 {
        self.accepted.get().saturating_sub(self.recorded.get())
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
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
    pub oldest: Option<Oldest>,
    /// What holds the run back now.
    pub limit: Option<Limit>,
    /// What held the run back so far, and for how long.
    pub held_back: HeldBack,
}

/// Time by limit: which one the run spent most of its time under.
#[derive(Clone, Debug, Default)]
pub struct HeldBack {
    spent: Vec<(Limit, Duration)>,
}

impl HeldBack {
    /// Notes that the run stood under this limit for so long.
    pub fn note(&mut self, limit: &Limit, time: Duration) {
        // Limits name hosts, so there could be many: the least important one makes room.
        const MOST: usize = 32;
        if let Some((_, spent)) = self.spent.iter_mut().find(|(known, _)| known == limit) {
            *spent += time;
            return;
        }
        if self.spent.len() == MOST {
            let least = self.spent.iter().enumerate().min_by_key(|(_, (_, spent))| *spent).map(|(place, _)| place);
            self.spent.swap_remove(least.unwrap_or_default());
        }
        self.spent.push((limit.clone(), time));
    }

    /// The limit that the run spent most of its time under, and its share.
    pub fn most(&self) -> Option<(&Limit, f64)> {
        let total: Duration = self.spent.iter().map(|(_, spent)| *spent).sum();
        let (limit, spent) = self.spent.iter().max_by_key(|(_, spent)| *spent)?;
        Some((limit, spent.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE)))
    }
}

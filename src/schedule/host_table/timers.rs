//! Timers of hosts, or of ports, at most one for each; the owner keeps its time.

use std::collections::BTreeSet;
use std::time::Duration;

/// The timers, by time.
#[derive(Debug, Default)]
pub(super) struct Timers<T>(BTreeSet<(Duration, T)>);

impl<T: Copy + Ord> Timers<T> {
    /// Sets the timer of `id`, in place of the one in `kept`.
    pub fn set(&mut self, id: T, kept: &mut Option<Duration>, new: Option<Duration>) {
        let old = std::mem::replace(kept, new);
        if old == new {
            return;
        }
        if let Some(at) = old {
            self.0.remove(&(at, id));
        }
        if let Some(at) = new {
            self.0.insert((at, id));
        }
    }

    /// The first timer.
    pub fn first(&self) -> Option<(Duration, T)> {
        self.0.first().copied()
    }

    /// The last timer.
    pub fn last(&self) -> Option<(Duration, T)> {
        self.0.last().copied()
    }

    /// The first timer that is due.
    pub fn due(&self, now: Duration) -> Option<T> {
        self.first().filter(|(at, _)| *at <= now).map(|(_, id)| id)
    }

    /// All timers that are due.
    pub fn all_due(&self, now: Duration) -> impl Iterator<Item = T> {
        self.0.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// The first time after `now`.
    pub fn after(&self, now: Duration) -> Option<Duration> {
        self.0.iter().map(|(at, _)| *at).find(|at| *at > now)
    }
}

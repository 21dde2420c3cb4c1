//! The queue of one host: robots.txt requests before retries and redirects that are due, and these before lines that were
//! not sent yet.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::schedule::job::Job;
use crate::schedule::line_book::LineId;

/// Which line to take out of a queue.
#[derive(Clone, Copy, Debug)]
pub(in crate::schedule) enum Pick {
    /// The one that starts next.
    Next(Duration),
    /// The one of this ordinal, which is due at this time, if it was dispatched before.
    Line { ordinal: u64, due: Option<Duration> },
    /// One after the other, whether it is due or not.
    Any,
}

/// The lines that wait at one host.
#[derive(Debug, Default)]
pub(in crate::schedule) struct HostQueue {
    /// Lines that fetch a robots.txt, by the time they are due, and ordinal.
    robots: BTreeMap<(Duration, u64), Box<Job>>,
    /// Retries and hops by the time they are due, and ordinal.
    again: BTreeMap<(Duration, u64), Box<Job>>,
    /// Lines that were not sent yet.
    fresh: VecDeque<Box<Job>>,
    /// The line that fetches the robots.txt of an origin here; nothing but such lines starts until it is back.
    robots_fetch: Option<LineId>,
}

impl HostQueue {
    pub fn robots_fetch(&self) -> Option<LineId> {
        self.robots_fetch
    }

    pub fn set_robots_fetch(&mut self, line: Option<LineId>) {
        self.robots_fetch = line;
    }

    /// Lines that wait here.
    pub fn len(&self) -> usize {
        self.fresh.len() + self.again.len() + self.robots.len()
    }

    /// Adds a line; `due` is when it may start, if it was dispatched before.
    pub(super) fn insert(&mut self, job: Box<Job>, due: Option<Duration>) {
        let Some(due) = due else { return self.fresh.push_back(job) };
        let queue = if job.slot.parked.is_some() { &mut self.robots } else { &mut self.again };
        queue.insert((due, job.ticket.ordinal), job);
    }

    /// When the next line is due, unless all wait for a robots.txt, or there is none.
    pub fn next_due(&self) -> Option<Duration> {
        let robots = self.robots.first_key_value().map(|((at, _), _)| *at);
        let line = match (self.robots_fetch, self.fresh.is_empty()) {
            (Some(_), _) => None,
            (None, false) => Some(Duration::ZERO),
            (None, true) => self.again.first_key_value().map(|((at, _), _)| *at),
        };
        [robots, line].into_iter().flatten().min()
    }

    /// The line that starts next.
    pub fn front(&self, now: Duration) -> Option<&Job> {
        let (again, fresh) = match self.robots_fetch {
            Some(_) => (None, None),
            None => (due(&self.again, now), self.fresh.front().map(|job| &**job)),
        };
        due(&self.robots, now).or(again).map(|(_, job)| job).or(fresh)
    }

    /// Takes a line out.
    pub(super) fn take(&mut self, pick: Pick) -> Option<Box<Job>> {
        match pick {
            Pick::Next(now) => self.pop(now),
            Pick::Line { ordinal, due: None } => {
                // In order, but for lines that waited for room in the table while others came.
                let found = self.fresh.binary_search_by_key(&ordinal, |job| job.ticket.ordinal).ok();
                let place = found.or_else(|| self.fresh.iter().position(|job| job.ticket.ordinal == ordinal));
                self.fresh.remove(place?)
            }
            Pick::Line { ordinal, due: Some(at) } => {
                self.again.remove(&(at, ordinal)).or_else(|| self.robots.remove(&(at, ordinal)))
            }
            Pick::Any => {
                let again = self.robots.pop_first().or_else(|| self.again.pop_first());
                again.map(|(_, job)| job).or_else(|| self.fresh.pop_front())
            }
        }
    }

    fn pop(&mut self, now: Duration) -> Option<Box<Job>> {
        if let Some((key, _)) = due(&self.robots, now) {
            return self.robots.remove(&key);
        }
        if self.robots_fetch.is_some() {
            return None;
        }
        match due(&self.again, now) {
            Some((key, _)) => self.again.remove(&key),
            None => self.fresh.pop_front(),
        }
    }

    /// Whether a line that waits here and is due at this time fetches a robots.txt.
    pub fn fetches_robots(&self, ordinal: u64, due: Option<Duration>) -> bool {
        due.is_some_and(|at| self.robots.contains_key(&(at, ordinal)))
    }

    /// When the next line falls due that is not due yet.
    pub fn next_due_after(&self, now: Duration) -> Option<Duration> {
        let next =
            |queue: &BTreeMap<(Duration, u64), Box<Job>>| queue.range((now, u64::MAX)..).next().map(|(key, _)| key.0);
        [next(&self.again), next(&self.robots)].into_iter().flatten().min()
    }
}

/// The first line of a queue, if it is due.
fn due(queue: &BTreeMap<(Duration, u64), Box<Job>>, now: Duration) -> Option<((Duration, u64), &Job)> {
    queue.first_key_value().filter(|((at, _), _)| *at <= now).map(|(key, job)| (*key, &**job))
}

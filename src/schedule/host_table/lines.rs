//! Waiting lines in the order in which they start: robots.txt requests before retries and redirects that are due, and these
//! before lines that were not sent yet.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{self, Excluded, Included};
use std::ops::RangeBounds as _;
use std::time::Duration;

use crate::schedule::job::Job;
use crate::schedule::line_book::LineId;

/// The due time of a line that is held for its host's token.
pub const HELD: Duration = Duration::MAX;

/// When a line is due, and its ordinal.
type Key = (Duration, u64);

/// The lines that wait at a host, or at a port of it that is held.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Lines that fetch a robots.txt.
    robots: BTreeMap<Key, Box<Job>>,
    /// Retries and hops.
    again: BTreeMap<Key, Box<Job>>,
    /// Lines that were not sent yet.
    fresh: VecDeque<Box<Job>>,
    precedence: Precedence,
}

/// Which lines start first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Precedence {
    /// Those that are due again.
    #[default]
    Again,
    /// One that was not sent yet.
    Fresh,
}

/// Lines that are counted in one turn, at most.
const A_TURN: usize = 512;

/// A count of the lines that start before another one.
#[derive(Clone, Copy, Debug, Default)]
pub struct AheadCount {
    /// Where the count goes on.
    from: Key,
    lines: usize,
}

/// The place of one line among the others.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    Robots(Key),
    Again(Key),
    /// The first of those that were not sent yet.
    Fresh,
}

impl Spot {
    /// When the line is due, if it was dispatched before.
    pub fn due(self) -> Option<Duration> {
        match self {
            Self::Robots((due, _)) | Self::Again((due, _)) => Some(due),
            Self::Fresh => None,
        }
    }
}

impl Lines {
    pub fn len(&self) -> usize {
        self.fresh.len() + self.again.len() + self.robots.len()
    }

    /// Adds a line; `due` is when it may start, if it was dispatched before.
    pub fn insert(&mut self, job: Box<Job>, due: Option<Duration>) {
        let Some(due) = due else { return self.fresh.push_back(job) };
        let queue = if job.slot.parked.is_some() { &mut self.robots } else { &mut self.again };
        queue.insert((due, job.ticket.ordinal), job);
    }

    /// Adds lines that came before these.
    pub fn prepend(&mut self, mut older: Self) {
        self.robots.append(&mut older.robots);
        self.again.append(&mut older.again);
        if older.fresh.is_empty() {
            return;
        }
        // Lines of several ports that were held at the same time come back one port after the other.
        let last = older.fresh.back().map(|job| job.ticket.ordinal);
        let in_order = self.fresh.front().is_none_or(|first| last < Some(first.ticket.ordinal));
        older.fresh.append(&mut self.fresh);
        self.fresh = older.fresh;
        if !in_order {
            self.fresh.make_contiguous().sort_by_key(|job| job.ticket.ordinal);
        }
    }

    /// The line that starts next.
    pub fn next(&self, now: Duration) -> Option<Spot> {
        let again = || due(&self.again, now).map(Spot::Again);
        let line = match self.precedence {
            Precedence::Again => again().or_else(|| self.next_fresh()),
            Precedence::Fresh => self.next_fresh().or_else(again),
        };
        self.next_robots(now).or(line)
    }

    /// Lets one line that was not sent yet go before those that are due again.
    pub fn let_fresh_line_pass(&mut self) {
        self.precedence = Precedence::Fresh;
    }

    /// The next of the lines that fetch a robots.txt.
    pub fn next_robots(&self, now: Duration) -> Option<Spot> {
        due(&self.robots, now).map(Spot::Robots)
    }

    /// The line that probes next. Lines that have failed come last, and the one that failed last comes after all
    /// others, because its URL may be the cause.
    pub fn next_probe(&self, failed_last: u64, now: Duration) -> Option<Spot> {
        let mut due = self.again.range(..=(now, u64::MAX)).map(|(key, _)| *key);
        let again = || due.clone().find(|(_, ordinal)| *ordinal != failed_last).or_else(|| due.next()).map(Spot::Again);
        self.next_robots(now).or_else(|| self.next_fresh()).or_else(again)
    }

    fn next_fresh(&self) -> Option<Spot> {
        (!self.fresh.is_empty()).then_some(Spot::Fresh)
    }

    /// The first line of each kind, whether it is due or not.
    pub fn firsts(&self) -> impl Iterator<Item = (Spot, &Job)> {
        let robots = self.robots.first_key_value().map(|(key, job)| (Spot::Robots(*key), &**job));
        let again = self.again.first_key_value().map(|(key, job)| (Spot::Again(*key), &**job));
        let fresh = self.fresh.front().map(|job| (Spot::Fresh, &**job));
        [robots, again, fresh].into_iter().flatten()
    }

    /// The lines that were dispatched before.
    pub fn dispatched(&self) -> impl Iterator<Item = LineId> {
        self.robots.values().chain(self.again.values()).map(|job| job.slot.line)
    }

    /// The number of these lines.
    pub fn dispatched_len(&self) -> usize {
        self.robots.len() + self.again.len()
    }

    /// The lines that are held.
    pub fn held(&self) -> impl Iterator<Item = LineId> {
        self.again.range((HELD, 0)..).map(|(_, job)| job.slot.line)
    }

    /// Whether there are lines that are not held.
    pub fn has_others(&self) -> bool {
        self.next_due().is_some()
    }

    /// All lines.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.robots.values().chain(self.again.values()).chain(&self.fresh).map(|job| &**job)
    }

    /// When the next line is due.
    pub fn next_due(&self) -> Option<Duration> {
        let again = self.again.first_key_value().map(|((due, _), _)| *due).filter(|due| *due < HELD);
        let line = if self.fresh.is_empty() { again } else { Some(Duration::ZERO) };
        [self.next_robots_due(), line].into_iter().flatten().min()
    }

    /// When the next line that fetches a robots.txt is due.
    pub fn next_robots_due(&self) -> Option<Duration> {
        self.robots.first_key_value().map(|((due, _), _)| *due)
    }

    /// When the next line that is not due yet is due.
    pub fn next_due_after(&self, now: Duration) -> Option<Duration> {
        let next = |queue: &BTreeMap<Key, Box<Job>>| queue.range((now, u64::MAX)..).next().map(|((due, _), _)| *due);
        [next(&self.again), next(&self.robots)].into_iter().flatten().filter(|due| *due < HELD).min()
    }

    /// Whether the line of this ordinal, due at this time, fetches a robots.txt.
    pub fn fetches_robots(&self, ordinal: u64, due: Option<Duration>) -> bool {
        due.is_some_and(|at| self.robots.contains_key(&(at, ordinal)))
    }

    /// Whether the line of this ordinal, due at this time, is here.
    pub fn has(&self, ordinal: u64, due: Option<Duration>) -> bool {
        match due {
            Some(due) => self.again.contains_key(&(due, ordinal)) || self.robots.contains_key(&(due, ordinal)),
            None => self.place_of_fresh(ordinal).is_some(),
        }
    }

    /// The number of lines that start before this one; `None` if the count has to go on in another turn.
    pub fn ahead(&self, ordinal: u64, due: Option<Duration>, now: Duration, count: &mut AheadCount) -> Option<usize> {
        let Some(due) = due else {
            let again = count.go_on(&self.again, Included((now, u64::MAX)))?;
            return Some(self.robots.len() + again + self.place_of_fresh(ordinal).unwrap_or_default());
        };
        if self.fetches_robots(ordinal, Some(due)) {
            return count.go_on(&self.robots, Excluded((due, ordinal)));
        }
        // A line that is held for a token goes before fresh ones once there is a new token.
        let fresh = if due > now && due < HELD { self.fresh.len() } else { 0 };
        Some(self.robots.len() + count.go_on(&self.again, Excluded((due, ordinal)))? + fresh)
    }

    fn place_of_fresh(&self, ordinal: u64) -> Option<usize> {
        // In order, except lines that waited for room in the table while others came.
        let found = self.fresh.binary_search_by_key(&ordinal, |job| job.ticket.ordinal).ok();
        found.or_else(|| self.fresh.iter().position(|job| job.ticket.ordinal == ordinal))
    }

    pub fn get(&self, spot: Spot) -> Option<&Job> {
        let job = match spot {
            Spot::Robots(key) => self.robots.get(&key),
            Spot::Again(key) => self.again.get(&key),
            Spot::Fresh => self.fresh.front(),
        };
        job.map(|job| &**job)
    }

    pub fn take(&mut self, spot: Spot) -> Option<Box<Job>> {
        match spot {
            Spot::Robots(key) => self.robots.remove(&key),
            Spot::Again(key) => self.again.remove(&key),
            Spot::Fresh => {
                self.precedence = Precedence::Again;
                self.fresh.pop_front()
            }
        }
    }

    /// Takes the line of this ordinal, which is due at this time, if it was dispatched before.
    pub fn take_line(&mut self, ordinal: u64, due: Option<Duration>) -> Option<Box<Job>> {
        let Some(due) = due else {
            let place = self.place_of_fresh(ordinal)?;
            return self.fresh.remove(place);
        };
        self.again.remove(&(due, ordinal)).or_else(|| self.robots.remove(&(due, ordinal)))
    }

    /// Takes a line with an ordinal below this, whether it is due or not.
    pub fn take_below(&mut self, ordinal: u64) -> Option<Box<Job>> {
        for queue in [&mut self.robots, &mut self.again] {
            if let Some(key) = queue.keys().copied().find(|(_, other)| *other < ordinal) {
                return queue.remove(&key);
            }
        }
        let place = self.fresh.iter().position(|job| job.ticket.ordinal < ordinal)?;
        self.fresh.remove(place)
    }

    /// Takes any line, whether it is due or not.
    pub fn take_any(&mut self) -> Option<Box<Job>> {
        let again = self.robots.pop_first().or_else(|| self.again.pop_first());
        again.map(|(_, job)| job).or_else(|| self.fresh.pop_front())
    }
}

impl AheadCount {
    /// Counts some more lines before that key; `None` if some are left.
    fn go_on(&mut self, queue: &BTreeMap<Key, Box<Job>>, end: Bound<Key>) -> Option<usize> {
        let mut keys =
            queue.range(self.from..).map(|(key, _)| *key).take_while(|key| (Bound::Unbounded, end).contains(key));
        self.lines += keys.by_ref().take(A_TURN).count();
        match keys.next() {
            Some(key) => self.from = key,
            None => return Some(self.lines),
        }
        None
    }
}

/// The first line of a queue, if it is due.
fn due(queue: &BTreeMap<Key, Box<Job>>, now: Duration) -> Option<Key> {
    queue.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= now)
}

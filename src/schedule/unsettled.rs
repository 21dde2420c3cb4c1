//! The unsettled lines, by ordinal: which one is the oldest (the low-water mark), and at which host it waits.
//!
//! The oldest line goes before all others when body memory is short, as everything else may have to wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::item::Job;

/// The hosts of the unsettled lines, by ordinal. As large as the window, however long its oldest line waits while others
/// pass.
#[derive(Debug, Default)]
pub struct Unsettled(BTreeMap<u64, usize>);

impl Unsettled {
    /// The line of this ordinal is now a matter of this host.
    pub fn place(&mut self, ordinal: u64, host: usize) {
        self.0.insert(ordinal, host);
    }

    /// The line of this ordinal is settled.
    pub fn settle(&mut self, ordinal: u64) {
        self.0.remove(&ordinal);
    }

    /// The host of an unsettled line.
    pub fn host_of(&self, ordinal: u64) -> Option<usize> {
        self.0.get(&ordinal).copied()
    }

    /// The oldest unsettled line: its ordinal and its host.
    pub fn oldest(&self) -> Option<(u64, usize)> {
        self.0.first_key_value().map(|(ordinal, host)| (*ordinal, *host))
    }
}

/// The host that the oldest unsettled line is at, and what goes on there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldestLine {
    /// Its name.
    pub host: Arc<str>,
    /// Lines that wait there.
    pub waiting: usize,
    /// Requests on the wire.
    pub in_flight: u32,
}

impl Core {
    /// The host that the oldest unsettled line is at.
    pub fn oldest(&self) -> Option<OldestLine> {
        let (_, id) = self.unsettled.oldest()?;
        let host = self.hosts.get(id)?;
        Some(OldestLine { host: Arc::clone(&host.name), waiting: host.waiting(), in_flight: host.in_flight })
    }

    /// Takes the oldest unsettled line if it waits and may start now, out of its host's turn and before others of its
    /// host. If it waits for one that went for its robots.txt, that one is taken; if it may not be fetched, it is settled,
    /// and the next one is the oldest.
    pub fn take_oldest(&mut self, now: Duration) -> Option<Box<Job>> {
        self.advance(now);
        loop {
            self.admit_oldest(now);
            let (job, due) = self.pick_oldest(now)?;
            match self.denial(&job, now) {
                Some(why) => self.deny(job, due, why, now),
                None => return Some(self.start(job, due, now)),
            }
        }
    }

    /// Lets the oldest line into the table even if it is full: all its hosts may be waiting for that line.
    fn admit_oldest(&mut self, now: Duration) {
        let oldest = self.unsettled.oldest().map(|(ordinal, _)| ordinal);
        let Some(job) = self.untracked.pop_front_if(|job| Some(job.ticket.ordinal) == oldest) else { return };
        if let Some(id) = self.host_among(&job.request, usize::MAX, now) {
            self.enqueue(job, id, now);
        }
    }

    /// Takes the oldest line, or the one that it waits for, out of its queue if its host lets it start.
    fn pick_oldest(&mut self, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        if self.is_full() || self.rate_limiter.next() > now {
            return None;
        }
        let (ordinal, id) = self.unsettled.oldest()?;
        let (ordinal, id) = match self.hosts.get(id)?.waits_for(ordinal) {
            Some(robots_fetch) => (robots_fetch, self.unsettled.host_of(robots_fetch)?),
            None => (ordinal, id),
        };
        let host = self.hosts.get_mut(id)?;
        if host.next_start().is_none_or(|at| at > now) {
            return None;
        }
        host.pick(ordinal, now)
    }
}

#[cfg(test)]
mod tests {
    use super::Unsettled;

    #[test]
    fn the_oldest_is_the_first_that_is_not_settled() {
        let mut unsettled = Unsettled::default();
        for ordinal in 0..4 {
            unsettled.place(ordinal, 10 + ordinal as usize);
        }
        unsettled.settle(1);
        assert_eq!(unsettled.oldest(), Some((0, 10)));
        unsettled.settle(0);
        assert_eq!(unsettled.oldest(), Some((2, 12)));
        unsettled.place(2, 99);
        assert_eq!(unsettled.oldest(), Some((2, 99)));
        unsettled.settle(2);
        unsettled.settle(3);
        assert_eq!(unsettled.oldest(), None);
        unsettled.place(7, 1);
        assert_eq!(unsettled.oldest(), Some((7, 1)));
    }

    #[test]
    fn a_line_that_waits_while_others_pass_costs_no_memory() {
        let mut unsettled = Unsettled::default();
        unsettled.place(0, 1);
        for ordinal in 1..1000 {
            unsettled.place(ordinal, 2);
            unsettled.settle(ordinal);
        }
        assert_eq!(unsettled.0.len(), 1);
        assert_eq!(unsettled.oldest(), Some((0, 1)));
    }
}

//! The oldest unsettled line: where it is, and how it goes before all others when memory is short and everything else may
//! have to wait for it.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::item::Job;

/// The host that the oldest unsettled line is at, and what goes on there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Its name.
    pub host: Arc<str>,
    /// Lines that wait there.
    pub waiting: usize,
    /// Requests on the wire.
    pub in_flight: u32,
}

impl Core {
    /// The host that the oldest unsettled line is at.
    pub fn oldest(&self) -> Option<Oldest> {
        let (_, id) = self.turns.oldest()?;
        let host = self.hosts.get(id)?;
        Some(Oldest { host: Arc::clone(&host.name), waiting: host.waiting(), in_flight: host.in_flight })
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
        let oldest = self.turns.oldest().map(|(turn, _)| turn);
        let Some(job) = self.untracked.pop_front_if(|job| Some(job.ticket.turn) == oldest) else { return };
        if let Some(id) = self.host_among(&job.request, usize::MAX, now) {
            self.enqueue(job, id, now);
        }
    }

    /// Takes the oldest line, or the one that it waits for, out of its queue if its host lets it start.
    fn pick_oldest(&mut self, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        if self.is_full() || self.pace.next() > now {
            return None;
        }
        let (turn, id) = self.turns.oldest()?;
        let (turn, id) = match self.hosts.get(id)?.waits_for(turn) {
            Some(asking) => (asking, self.turns.host_of(asking)?),
            None => (turn, id),
        };
        let host = self.hosts.get_mut(id)?;
        if host.next_start().is_none_or(|at| at > now) {
            return None;
        }
        host.pick(turn, now)
    }
}

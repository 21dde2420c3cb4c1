//! Pauses of a host that are longer than `retry.max_retry_after`: the host is closed until their end. Lines of durable sources keep
//! their places, and their time stands still; lines of other sources end, for nobody would keep them.
//!
//! A run in which only lines of closed hosts are left can end, as the next one finds them again ([`Core::only_closed_hosts`]).

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::host_table::Host;
use super::job::Job;
use super::line_book::{Counts, HostId, LineId, Place};
use super::quota::LongPause;
use crate::item::{Received, WaitedFor};

/// A closed host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedHost {
    /// Its name.
    pub name: Arc<str>,
    /// Its lines, which keep their places.
    pub lines: usize,
    /// When it opens, on the clock of the run.
    pub until: Duration,
}

impl Core {
    /// The closed hosts with lines, the one with the most first, if nothing is left but these lines and no host is to be
    /// waited for.
    pub fn only_closed_hosts(&self, now: Duration) -> Option<Vec<ClosedHost>> {
        let Counts { waiting: 1.., in_flight: 0, outgoing: 0, released: 0 } = self.counts() else { return None };
        if self.hosts.has_untracked() {
            return None;
        }
        let closed = |host: &Host| {
            let is_left = host.is_closed(now) && host.limits.long_pause == LongPause::End;
            let (name, lines, until) = (Arc::clone(&host.name), host.waiting(), host.pause.closed_until);
            is_left.then_some(ClosedHost { name, lines, until })
        };
        self.hosts.by_waiting().map(closed).collect()
    }

    /// Ends the lines that wait at a host that closes, but those that keep their places.
    pub(super) fn fail_closed(&mut self, id: HostId, now: Duration) {
        let Some(error) = self.hosts.get(id).and_then(|host| host.closed(now)) else { return };
        let ends = |line: &LineId| {
            matches!(self.lines.place_of(*line), Place::Waiting { host, .. } if host == id)
                && !self.is_durable(self.lines.source(*line))
        };
        let mut lines: Vec<_> = self.lines.newest_first().filter(ends).collect();
        lines.reverse();
        let end = |core: &mut Self, mut job: Box<Job>| {
            core.note_failed_wait(&mut job, WaitedFor::HostPause, now);
            core.settle(job, Received::Nothing, Some(error.clone()), now);
        };
        self.withdraw(lines, end, now);
    }
}

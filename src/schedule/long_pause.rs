//! Pauses of a host that are longer than `retry.max_retry_after`: the host is closed until their end. Lines of durable
//! sources keep their places, and their time stands still; lines of other sources fail, because their source does not
//! keep them.
//!
//! A host that got no new token in time after a refusal is closed in the same way until it gets one (`token.rs`).
//!
//! A run with only lines of closed hosts left can end: the next run finds them again ([`Core::only_closed_hosts`]).

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::host_table::Host;
use super::job::Job;
use super::line_book::{Counts, HostId, LineId, Place};
use super::quota::LongPause;
use super::stall_clock::StallReason;
use crate::item::{Received, WaitedFor};

/// A closed host, or a host without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedHost {
    /// Its name.
    pub name: Arc<str>,
    /// The number of its waiting lines.
    pub lines: usize,
    /// When it opens.
    pub opens: Opening,
}

/// When a closed host opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// At this time, on the clock of the run.
    At(Duration),
    /// When these files contain a new token.
    WithToken(String),
}

impl Core {
    /// The closed hosts with lines, the one with the most first, if only such lines are left and no host's policy is to
    /// wait.
    pub fn only_closed_hosts(&self, now: Duration) -> Option<Vec<ClosedHost>> {
        let Counts { waiting: 1.., in_flight: 0, outgoing: 0, released: 0 } = self.counts() else { return None };
        // Untracked lines wait for these hosts, unless a host without lines makes room.
        if self.hosts.has_untracked() && self.hosts.len() > self.waiting_hosts() {
            return None;
        }
        if self.is_run_paused() {
            return None;
        }
        let closed = |host: &Host| {
            let opens = match () {
                () if host.is_stalled_by(StallReason::Paused) => return None,
                () if host.limits.long_pause == LongPause::Wait => return None,
                () if host.lacks_token() => Opening::WithToken(self.token_files(host)),
                () if host.is_closed(now) => Opening::At(host.pause.closed_until),
                () => return None,
            };
            Some(ClosedHost { name: Arc::clone(&host.name), lines: host.waiting(), opens })
        };
        self.hosts.by_waiting().map(closed).collect()
    }

    /// Fails the waiting lines of a host that closes, except those of durable sources.
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

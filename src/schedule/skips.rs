//! Skips: on an operator's order, the lines of a host are settled unsent, a few at a time. No line of the host starts
//! until all lines that waited then are settled. Later lines wait as usual, or are skipped while the override holds.

use std::collections::VecDeque;
use std::time::Duration;

use super::Core;
use super::host_table::Pick;
use super::line_book::HostId;
use crate::item::{ErrorKind, Received};

/// The most lines that are settled in one turn.
const A_TURN: usize = 512;

/// The hosts with lines that are being skipped; some numbers may be stale.
#[derive(Debug, Default)]
pub(super) struct Skips(VecDeque<HostId>);

impl Skips {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Core {
    /// Settles the waiting lines of this host, a few a turn ([`Self::work`]), and returns their number. None of them
    /// starts.
    pub fn skip(&mut self, host: &str, now: Duration) -> usize {
        let mut lines = 0;
        for id in self.hosts_of(host) {
            lines += self.hosts[id].waiting();
            self.begin_skip(id);
            self.refresh(id, now);
        }
        lines
    }

    /// Begins to skip the waiting lines of this host, which then has to be reindexed.
    pub(super) fn begin_skip(&mut self, id: HostId) {
        let host = &mut self.hosts[id];
        if host.waiting() == 0 {
            return;
        }
        let below = self.lines.newest().map_or(0, |line| self.lines.ordinal(line) + 1);
        let was = host.orders.get_or_insert_default().skipped_below.replace(below);
        if was.is_none() {
            self.operator.skips.0.push_back(id);
        }
    }

    /// Settles some of the lines that are being skipped; returns their number.
    pub(super) fn skip_some(&mut self, now: Duration) -> usize {
        let mut left = A_TURN;
        while left > 0
            && let Some(id) = self.operator.skips.0.front().copied()
        {
            let below = self.hosts.get(id).and_then(|host| host.orders.as_ref()?.skipped_below);
            let job = below.and_then(|below| self.hosts.take(id, Pick::Below(below)));
            let Some(job) = job else {
                self.end_skip(id, now);
                continue;
            };
            left -= 1;
            let error = self.skipped(id, job.ticket.source);
            self.settle(job, Received::Nothing, Some(error), now);
        }
        A_TURN - left
    }

    /// The error of a line that is skipped.
    pub(super) fn skipped(&self, id: HostId, source: usize) -> (ErrorKind, String) {
        let way = match self.is_durable(source) {
            true => "a run with --again skipped fetches them",
            false => "feed them again to fetch them",
        };
        (ErrorKind::Skipped, format!("an operator skipped the lines of {}; {way}", self.hosts[id].name))
    }

    fn end_skip(&mut self, id: HostId, now: Duration) {
        self.operator.skips.0.pop_front();
        if self.hosts.get(id).is_some() {
            let orders = &mut self.hosts[id].orders;
            orders.iter_mut().for_each(|orders| orders.skipped_below = None);
            orders.take_if(|orders| orders.overrides.is_empty());
            self.refresh(id, now);
        }
    }
}

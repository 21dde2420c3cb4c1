//! Releases: waiting lines go back to their source without a record, for another instance to fetch.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Core;
use super::host_table::Pick;
use super::job::Job;
use super::line_book::{LineId, Place};
use crate::item::Ticket;

/// Which waiting lines are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseScope {
    /// All lines of a source.
    All {
        /// The number of the source.
        source: usize,
    },
    /// The newest lines of a source.
    Newest {
        /// The number of the source.
        source: usize,
        /// Their maximum number.
        lines: usize,
    },
}

impl ReleaseScope {
    /// The number of the source.
    pub fn source(self) -> usize {
        match self {
            Self::All { source } | Self::Newest { source, .. } => source,
        }
    }

    fn most(self) -> usize {
        match self {
            Self::All { .. } => usize::MAX,
            Self::Newest { lines, .. } => lines,
        }
    }
}

impl Core {
    /// Releases waiting lines. Lines that are on the wire or settled stay.
    pub fn release(&mut self, scope: ReleaseScope, now: Duration) {
        let waits = |line: &LineId| !matches!(self.lines.place_of(*line), Place::OnWire { .. });
        let lines = self.lines.newest_first().filter(|line| self.lines.source(*line) == scope.source());
        let lines: Vec<LineId> = lines.filter(waits).take(scope.most()).collect();
        let release = |core: &mut Self, mut job: Box<Job>| {
            core.unpark(&mut job);
            core.lines.release(job.slot.line, job.ticket);
        };
        self.withdraw(lines, release, now);
    }

    /// Takes waiting lines out of their queues, and passes each to `end`.
    pub(super) fn withdraw(&mut self, lines: Vec<LineId>, end: impl Fn(&mut Self, Box<Job>), now: Duration) {
        let mut hosts = BTreeSet::new();
        for line in lines {
            let ordinal = self.lines.ordinal(line);
            let job = match self.lines.place_of(line) {
                Place::Waiting { host, port, due } => {
                    hosts.insert(host);
                    self.hosts.take(host, Pick::Line { ordinal, port, due })
                }
                Place::Untracked | Place::OnWire { .. } => self.hosts.take_untracked(Some(ordinal)),
            };
            job.into_iter().for_each(|job| end(self, job));
        }
        for host in hosts {
            self.refresh(host, now);
        }
    }

    /// The ticket of a released line.
    pub fn take_released(&mut self) -> Option<Ticket> {
        self.lines.take_released()
    }
}

//! The end of requests: lines of durable sources get none after a stop, and no line gets one after the run is given up.
//!
//! A waiting line is canceled at once, and a line on the wire when its attempt ends, unless it is done. A canceled line
//! of a durable source is left for the next start, and has no record ([`Core::settle`]).

use std::time::Duration;

use super::Core;
use super::decide::canceled;
use super::line_book::{LineId, Place};
use crate::item::Received;

/// Which lines get no further request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// None.
    #[default]
    Running,
    /// Those of durable sources.
    Stopping,
    /// All.
    GivenUp,
}

impl Core {
    /// Leaves all waiting and later lines of durable sources for the next start.
    pub fn stop(&mut self, now: Duration) {
        if self.phase == Phase::Running {
            self.enter(Phase::Stopping, now);
        }
    }

    /// Settles all waiting and later lines as `canceled`.
    pub fn give_up(&mut self, now: Duration) {
        self.enter(Phase::GivenUp, now);
    }

    /// Whether every line is settled as `canceled` from here on.
    pub fn is_given_up(&self) -> bool {
        self.phase == Phase::GivenUp
    }

    /// Lines left for the next start so far.
    pub fn left(&self) -> u64 {
        self.lines.left()
    }

    /// Whether lines of this source get no further request.
    pub(super) fn is_stopped(&self, source: usize) -> bool {
        match self.phase {
            Phase::Running => false,
            Phase::Stopping => self.is_durable(source),
            Phase::GivenUp => true,
        }
    }

    /// Whether the next start yields the unfinished lines of this source again.
    pub(super) fn is_durable(&self, source: usize) -> bool {
        self.settings.durable.get(source) == Some(&true)
    }

    fn enter(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        // Hosts that are still ready enter it again below. Otherwise each host that leaves the table costs a scan.
        self.hosts.clear_ring();
        let waits = |line: &LineId| !matches!(self.lines.place_of(*line), Place::OnWire { .. });
        let is_stopped = |line: &LineId| self.is_stopped(self.lines.source(*line));
        let lines = self.lines.newest_first().filter(waits).filter(is_stopped).collect();
        self.withdraw(lines, |core, job| core.settle(job, Received::Nothing, Some(canceled()), now), now);
        self.cancel_paused(now);
        let hosts: Vec<_> = self.hosts.iter().map(|(id, _)| id).collect();
        for id in hosts {
            self.refresh(id, now);
        }
    }
}

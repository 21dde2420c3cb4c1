//! The deadlines of lines at hosts whose clocks can stand still. They are set on the clock of the line's host; the line
//! book has them on that of the run. When the clock of a host with many lines stops, or goes on, the book is updated a
//! few lines a turn. Until then, deadlines of a stopped host are too early, never too late, and some of a host that has
//! just gone on are missing.

use std::time::Duration;

use super::Core;
use super::line_book::{HostId, LineId, Place};
use super::stall_clock::{Now, StallReason};

/// The most lines whose deadlines are updated in one turn.
const A_TURN: usize = 512;

/// The walk over all lines of the book that updates their deadlines to the clocks of their hosts.
#[derive(Debug, Default)]
pub(super) struct DeadlineWalk {
    /// The next place in the book; after the last one, the first.
    next: LineId,
    /// Places left.
    left: usize,
}

impl DeadlineWalk {
    pub fn is_under_way(&self) -> bool {
        self.left > 0
    }
}

impl Core {
    /// Both clocks of a host.
    pub(super) fn clocks(&self, id: HostId, now: Duration) -> Now {
        self.hosts[id].clocks(self.clock.read(now))
    }

    /// Keeps the time that a line has left when it goes to another host.
    pub(super) fn change_clock(&mut self, line: LineId, to: HostId, now: Duration) {
        let Some(from) = self.lines.host(line).filter(|from| *from != to && self.hosts.get(*from).is_some()) else {
            return;
        };
        let (old, new) = (self.clocks(from, now).lines, self.clocks(to, now).lines);
        self.lines.move_deadline(line, |deadline| new + deadline.saturating_sub(old));
    }

    /// Sets the deadline of a line that waits at this host, by the host's clock.
    pub(super) fn watch_deadline(&mut self, line: LineId, id: HostId, now: Duration) {
        let (host, run) = (&self.hosts[id], self.clock.read(now));
        let deadline = self.lines.deadline(line).filter(|_| !host.is_stalled());
        let left = deadline.map(|deadline| deadline.saturating_sub(host.clocks(run).lines));
        self.lines.end_at(line, left.map(|left| run.lines.saturating_add(left)));
    }

    /// Until when the host's clock stands still because of a response.
    pub(super) fn stalled_until(&self, id: HostId) -> Duration {
        let host = &self.hosts[id];
        // Only lines of durable sources wait for a host that is closed.
        let closed = if self.settings.durable.contains(&true) { host.pause.closed_until } else { Duration::ZERO };
        closed.max(host.used_up_until())
    }

    /// Notes a reset of the host's quota. Stops the host's clock while the quota is used up, or the host is closed.
    pub(super) fn follow_quota(&mut self, id: HostId, now: Duration) {
        let host = &mut self.hosts[id];
        // Most hosts report no quota and never close.
        if !host.may_stall() {
            return;
        }
        if let Some(quota) = &mut host.quota {
            quota.advance(now);
        }
        let holds = if self.stalled_until(id) > now { Holds::Yes } else { Holds::No };
        if (holds == Holds::Yes) != self.hosts[id].is_stalled_by(StallReason::Quota) {
            self.stall_host(id, StallReason::Quota, holds, now);
        }
    }

    /// Stops the clock of a host for this reason, or lets it go on.
    pub(super) fn stall_host(&mut self, id: HostId, reason: StallReason, holds: Holds, now: Duration) {
        let (run, host) = (self.clock.read(now), &mut self.hosts[id]);
        match holds {
            Holds::Yes => host.stall_clock().stall(reason, run.lines),
            Holds::No => host.stall_clock().resume(reason, run.lines),
        }
        if self.hosts[id].queue.has_more_dispatched_than(A_TURN) {
            self.deadline_walk.left = self.lines.places();
            return;
        }
        for line in self.hosts[id].queue.dispatched() {
            self.watch_deadline(line, id, now);
        }
    }

    /// Goes on with the walk; returns the number of places visited.
    pub(super) fn watch_some_deadlines(&mut self, now: Duration) -> usize {
        let (places, walk) = (self.lines.places(), &mut self.deadline_walk);
        let from = if walk.next < places { walk.next } else { 0 };
        let looked = A_TURN.min(walk.left).min(places - from);
        (walk.next, walk.left) = (from + looked, walk.left - looked);
        for line in from..from + looked {
            if self.lines.has(line)
                && let Place::Waiting { host, due: Some(_), .. } = self.lines.place_of(line)
            {
                self.watch_deadline(line, host, now);
            }
        }
        looked
    }

    /// Whether the deadline of a line that seems to be over is stale, because the walk has not reached it.
    pub(super) fn has_stale_deadline(&mut self, line: LineId, id: HostId, now: Duration) -> bool {
        if !self.deadline_walk.is_under_way() {
            return false;
        }
        let first = self.lines.first_deadline();
        self.watch_deadline(line, id, now);
        self.lines.first_deadline() != first
    }
}

/// Whether a reason holds from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
}

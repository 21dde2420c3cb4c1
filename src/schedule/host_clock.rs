//! The clocks of hosts in the core: when the time of a line is over that waits at a host whose clock can stand still. Deadlines
//! are set on the clock of the line's host; the line book has them on that of the run.

use std::time::Duration;

use super::Core;
use super::line_book::{HostId, LineId};
use super::stall_clock::{Now, StallReason};

impl Core {
    /// Both clocks of a host.
    pub(super) fn clocks(&self, id: HostId, now: Duration) -> Now {
        self.hosts[id].clocks(self.clock.read(now))
    }

    /// Lets a line keep the time that it has left when it goes to another host.
    pub(super) fn change_clock(&mut self, line: LineId, to: HostId, now: Duration) {
        let Some(from) = self.lines.host(line).filter(|from| *from != to && self.hosts.get(*from).is_some()) else {
            return;
        };
        let (old, new) = (self.clocks(from, now).lines, self.clocks(to, now).lines);
        self.lines.move_deadline(line, |deadline| new + deadline.saturating_sub(old));
    }

    /// Lets the time of a line that waits at this host end when it does on the host's clock.
    pub(super) fn watch_deadline(&mut self, line: LineId, id: HostId, now: Duration) {
        let (host, run) = (&self.hosts[id], self.clock.read(now));
        let deadline = self.lines.deadline(line).filter(|_| !host.is_stalled());
        let left = deadline.map(|deadline| deadline.saturating_sub(host.clocks(run).lines));
        self.lines.end_at(line, left.map(|left| run.lines.saturating_add(left)));
    }

    /// Until when the time of this host's lines stands still for what an answer said.
    pub(super) fn stalled_until(&self, id: HostId) -> Duration {
        let host = &self.hosts[id];
        // Only lines of durable sources wait for a host that is closed.
        let closed = if self.settings.durable.contains(&true) { host.pause.closed_until } else { Duration::ZERO };
        closed.max(host.used_up_until())
    }

    /// Notes a reset of the host's quota. While nothing is left of it, or the host is closed, its clock stands still.
    pub(super) fn follow_quota(&mut self, id: HostId, now: Duration) {
        let host = &mut self.hosts[id];
        // Most hosts tell no quota and never close.
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

    /// The clock of a host stands still for this reason, or does so no more.
    pub(super) fn stall_host(&mut self, id: HostId, reason: StallReason, holds: Holds, now: Duration) {
        let (run, host) = (self.clock.read(now), &mut self.hosts[id]);
        match holds {
            Holds::Yes => host.stall_clock().stall(reason, run.lines),
            Holds::No => host.stall_clock().resume(reason, run.lines),
        }
        for line in self.hosts[id].queue.dispatched() {
            self.watch_deadline(line, id, now);
        }
    }
}

/// Whether a reason holds from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
}

//! Views of the schedule, for status and operators: the busiest hosts, the oldest line, and why a line waits.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::backlog::awaits_operator;
use super::dispatch::BodyMemoryRoom;
use super::host_table::Host;
use super::line_book::Place;
use super::wait_reason::WaitReason;

/// A view of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostView {
    /// Its name.
    pub name: Arc<str>,
    /// Its waiting lines.
    pub waiting: usize,
    /// Requests on the wire.
    pub in_flight: u32,
    /// How long both take, by the cost of lines so far; zero while an operator holds them.
    pub backlog: Duration,
}

/// The oldest unsettled line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldestLine {
    /// Its ordinal.
    pub ordinal: u64,
    /// How long ago it was accepted.
    pub age: Duration,
    /// Its host, unless the table has no room for it yet.
    pub host: Option<HostView>,
}

/// The rest of a run when all waiting lines are those of unreachable hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The hosts.
    pub hosts: usize,
    /// Their lines, including probes.
    pub lines: usize,
    /// The longest time until they fail (`health.give_up`).
    pub at_most: Duration,
}

impl Core {
    /// The hosts with waiting lines, those with the most first. Takes constant time per host.
    pub fn hosts_by_waiting(&self, now: Duration) -> impl Iterator<Item = HostView> {
        self.hosts.by_waiting().map(move |host| self.view_of(host, now))
    }

    /// A view of the host of this name, with the port if a pattern has it.
    pub fn host(&self, name: &str, now: Duration) -> Option<HostView> {
        self.hosts.find(name).map(|id| self.view_of(&self.hosts[id], now))
    }

    /// The host that is done last, or nearly, without unread lines. Takes constant time.
    pub fn last_host(&self, now: Duration) -> Option<HostView> {
        let longest = self.hosts.backlogs.longest();
        let held = self.hosts.backlogs.last_held().map(|(_, id)| id);
        let views = [longest, held].into_iter().flatten().map(|id| self.view_of(&self.hosts[id], now));
        views.max_by_key(|host| host.backlog)
    }

    fn view_of(&self, host: &Host, now: Duration) -> HostView {
        let (waiting, in_flight) = (host.waiting(), host.in_flight);
        let held = host.held_until(host.next_wait(), host.clocks(self.clock.read(now)));
        let awaits_operator = awaits_operator(host.next_wait());
        let sends = || if awaits_operator { Duration::ZERO } else { Duration::from_secs_f32(host.backlog().min(1e9)) };
        let backlog = held.map_or_else(sends, |until| until.saturating_sub(now));
        HostView { name: Arc::clone(&host.name), waiting, in_flight, backlog }
    }

    /// The oldest unsettled line.
    pub fn oldest(&self, now: Duration) -> Option<OldestLine> {
        let line = self.lines.oldest()?;
        let host = self.lines.host(line).map(|id| self.view_of(&self.hosts[id], now));
        let age = now.saturating_sub(self.lines.accepted(line));
        Some(OldestLine { ordinal: self.lines.ordinal(line), age, host })
    }

    /// The rest of the run, if all waiting lines are those of hosts that cannot be reached, or whose robots.txt cannot
    /// be fetched.
    pub fn tail(&self, now: Duration) -> Option<Tail> {
        let lines_time = self.clock.read(now).lines;
        let mut tail = Tail { hosts: 0, lines: 0, at_most: Duration::ZERO };
        for host in self.hosts.by_waiting() {
            let of_circuits = host.queue.all_give_up_at().map(|at| at.saturating_sub(lines_time));
            let at_most = of_circuits.or_else(|| host.robots_fails_at().map(|at| at.saturating_sub(now)))?;
            tail.hosts += 1;
            tail.lines += host.waiting() + host.in_flight as usize;
            tail.at_most = tail.at_most.max(at_most);
        }
        Some(tail).filter(|tail| tail.hosts > 0 && !self.hosts.has_untracked())
    }

    /// Why the next line of this host waits; `None` if none does.
    pub fn why(&self, host: &str, now: Duration) -> Option<WaitReason> {
        let host = &self.hosts[self.hosts.find(host)?];
        Some(self.wait_now(host.next_wait()?, now))
    }

    /// Why the line of this ordinal waits; `None` if it is settled or unknown. Scans the unsettled lines.
    pub fn why_line(&self, ordinal: u64, now: Duration) -> Option<WaitReason> {
        let line = self.lines.find(ordinal)?;
        Some(match self.lines.place_of(line) {
            Place::Untracked => WaitReason::HostTable,
            Place::OnWire { since, .. } => WaitReason::OnWire { since },
            Place::Waiting { host, port, due } => self.wait_now(self.hosts[host].wait_of(ordinal, port, due), now),
        })
    }

    /// The wait reason of a line now, from that of its host and that of the run.
    fn wait_now(&self, host: WaitReason, now: Duration) -> WaitReason {
        let wait = host.or_later(self.run_wait());
        match self.body_memory {
            _ if !wait.is_over(now) => wait,
            BodyMemoryRoom::Lacking => WaitReason::BodyMemory,
            BodyMemoryRoom::Enough => WaitReason::Ready,
        }
    }
}

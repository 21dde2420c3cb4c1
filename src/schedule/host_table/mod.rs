//! The host table: which hosts are tracked, the ring of hosts that are ready, the timers of the others, and the lines of
//! hosts for which there is no room.
//!
//! In: lines, and changes of a host's state ([`HostTable::reindex`]). Out: the next host, and the next wake-up. Only
//! [`HostTable::add`] and [`HostTable::take`] change a host's queue and the index over them.

mod backlog_index;
mod backlogs;
mod host;
mod host_limits;
mod lines;
mod outlasting;
mod ports;
mod queue;
mod queue_circuits;
mod timers;
mod trouble;
mod waiting_index;
mod waits;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

pub(super) use backlogs::{Backlog, Backlogs};
pub(super) use host::Host;
pub(super) use lines::{AheadCount, HELD};
pub(super) use queue::Pick;

use super::config::{HostLimits, Settings};
use super::host_state::{HostState, HostStates, StateEnd};
use super::job::Job;
use super::line_book::{HostId, LineId};
use super::stall_clock::Now;
use timers::Timers;
use waiting_index::WaitingIndex;

/// Whether a host may be added to a full table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capacity {
    /// Only in the place of another.
    Bounded,
    /// Always: there are never more of these than lines in the window.
    Unbounded,
}

/// What [`HostTable::reindex`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reindexed {
    Tracked,
    /// The host was removed: none of its state need be kept.
    Removed,
}

/// All tracked hosts.
#[derive(Debug, Default)]
pub(super) struct HostTable {
    hosts: Slab<Host>,
    names: HashMap<Arc<str>, HostId>,
    max_hosts: usize,
    /// Hosts with a line that may start now, in the order of their turns.
    ring: VecDeque<HostId>,
    timers: Timers<HostId>,
    /// Hosts without lines that may be evicted, by the time from which on they may.
    evictable: Timers<HostId>,
    by_waiting: WaitingIndex,
    pub backlogs: Backlogs,
    /// Lines of hosts for which the table has no room yet, by ordinal.
    untracked: BTreeMap<u64, Box<Job>>,
    /// Hosts whose lines may start again after the current change.
    unblocked: Vec<HostId>,
    states: HostStates,
}

impl HostTable {
    pub fn new(max_hosts: usize) -> Self {
        Self { max_hosts, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (HostId, &Host)> {
        self.hosts.iter()
    }

    /// One more than the largest number that a host can have now.
    pub fn places(&self) -> HostId {
        self.hosts.capacity()
    }

    pub fn find(&self, name: &str) -> Option<HostId> {
        self.names.get(name).copied()
    }

    pub fn get(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id)
    }

    /// The hosts with waiting lines, those with the most first.
    pub fn by_waiting(&self) -> impl Iterator<Item = &Host> {
        self.by_waiting.iter().map(|id| &self.hosts[id])
    }

    /// Adds a host that is not in the table. A full table evicts the first host that it may: a host that is only kept
    /// for an old response could keep others out for years.
    pub fn insert(&mut self, name: &str, limits: HostLimits, capacity: Capacity, now: Duration) -> Option<HostId> {
        if capacity == Capacity::Bounded && self.hosts.len() >= self.max_hosts {
            self.remove(self.evictable.due(now)?, now);
        }
        let name: Arc<str> = name.into();
        let id = self.hosts.insert(Host::new(Arc::clone(&name), limits, now));
        self.names.insert(name, id);
        Some(id)
    }

    /// Adds a line to its host's queue; `due` is when it may start, if it was dispatched before.
    pub fn add(&mut self, id: HostId, job: Box<Job>, due: Option<Duration>) {
        let queue = &mut self.hosts[id].queue;
        self.by_waiting.raise(id, queue.len());
        queue.insert(job, due);
    }

    /// Removes a line from its host's queue.
    pub fn take(&mut self, id: HostId, pick: Pick) -> Option<Box<Job>> {
        let queue = &mut self.hosts[id].queue;
        let job = queue.take(pick)?;
        self.by_waiting.lower(id, queue.len());
        Some(job)
    }

    /// Keeps a line until there is room for its host.
    pub fn add_untracked(&mut self, job: Box<Job>) {
        self.untracked.insert(job.ticket.ordinal, job);
    }

    /// Takes the line of this ordinal, or else the first, of those without room.
    pub fn take_untracked(&mut self, ordinal: Option<u64>) -> Option<Box<Job>> {
        match ordinal {
            Some(ordinal) => self.untracked.remove(&ordinal),
            None => self.untracked.pop_first().map(|(_, job)| job),
        }
    }

    pub fn has_untracked(&self) -> bool {
        !self.untracked.is_empty()
    }

    /// Blocks other lines of a host and port while this line fetches robots.txt.
    pub fn start_robots_fetch(&mut self, id: HostId, port: u16, line: LineId) {
        self.hosts[id].queue.set_robots_fetch(port, Some(line));
    }

    /// Unblocks these lines.
    pub fn end_robots_fetch(&mut self, id: HostId, port: u16) {
        self.hosts[id].queue.set_robots_fetch(port, None);
        self.unblocked.push(id);
    }

    /// An unblocked host that is not reindexed yet.
    pub fn take_unblocked(&mut self) -> Option<HostId> {
        self.unblocked.pop()
    }

    /// The host whose turn it is.
    pub fn first_ready(&self) -> Option<HostId> {
        self.ring.front().copied()
    }

    /// Removes the first host of the ring, which had its turn or is not ready any more.
    pub fn leave_ring(&mut self) {
        if let Some(id) = self.ring.pop_front() {
            self.hosts[id].in_ring = false;
        }
    }

    /// Moves the first host of the ring to its end.
    pub fn end_turn(&mut self) {
        self.ring.rotate_left(1);
    }

    pub fn clear_ring(&mut self) {
        while !self.ring.is_empty() {
            self.leave_ring();
        }
    }

    /// The host whose timer is due: it has to be reindexed.
    pub fn take_timer(&mut self, now: Duration) -> Option<HostId> {
        let id = self.timers.due(now)?;
        self.set_timer(id, None);
        Some(id)
    }

    /// Evicts a host, if a line waits for its place.
    pub fn make_room(&mut self, now: Duration) -> Reindexed {
        match self.evictable.due(now).filter(|_| self.has_untracked()) {
            Some(id) => self.remove(id, now),
            None => Reindexed::Tracked,
        }
    }

    /// When the first timer is due, or a host may be evicted for a waiting line.
    pub fn next_wakeup(&self) -> Option<Duration> {
        let place = self.evictable.first().filter(|_| self.has_untracked());
        [self.timers.first(), place].into_iter().flatten().map(|(at, _)| at).min()
    }

    /// Updates the ring, the timers, the host states and the table to a host's state, and to the start of the next of
    /// its lines ([`Host::next_start`]).
    pub fn reindex(&mut self, id: HostId, next_start: Option<Duration>, settings: &Settings, clocks: Now) -> Reindexed {
        let now = clocks.time;
        let host = &mut self.hosts[id];
        let ends = host.state_ends(now);
        self.states.note(id, &mut host.noted, ends, now);
        let ready = next_start.is_some_and(|at| at <= now);
        if ready && !host.in_ring {
            host.in_ring = true;
            self.ring.push_back(id);
        }
        if host.is_idle() {
            return self.park_idle(id, settings, now);
        }
        // A line that is due later may be the oldest one, for which a ready host may have to wait.
        let start = if ready { host.queue.next_due_after(now) } else { next_start };
        // No port gives up while the host's clock stands still.
        let gives_up_at =
            host.queue.gives_up_at().filter(|_| !host.is_stalled()).map(|at| now + at.saturating_sub(clocks.lines));
        let wake_at = [start, gives_up_at].into_iter().flatten().min();
        self.set_evictable(id, None);
        self.set_timer(id, wake_at.filter(|at| *at > now));
        Reindexed::Tracked
    }

    /// Whether any host's state changed since [`Self::host_states`] was called.
    pub fn has_state_changes(&self) -> bool {
        self.states.changed()
    }

    /// The states of hosts that outlast the run.
    pub fn host_states(&mut self, settings: &Settings, run: Now) -> Vec<HostState> {
        let hosts = &self.hosts;
        self.states.take(run.time).map(|id| hosts[id].host_state(settings, hosts[id].clocks(run))).collect()
    }

    /// Keeps a host without lines for as long as it must be kept, and longer while no other host needs its place.
    fn park_idle(&mut self, id: HostId, settings: &Settings, now: Duration) -> Reindexed {
        let host = &self.hosts[id];
        let (pinned, kept) = (host.pinned_until(), host.kept_until(settings));
        if kept <= now || (pinned <= now && self.has_untracked()) {
            return self.remove(id, now);
        }
        if kept > pinned {
            self.set_evictable(id, Some(pinned));
        }
        self.set_timer(id, Some(kept));
        Reindexed::Tracked
    }

    fn set_timer(&mut self, id: HostId, wake_at: Option<Duration>) {
        self.timers.set(id, &mut self.hosts[id].timer, wake_at);
    }

    fn set_evictable(&mut self, id: HostId, from: Option<Duration>) {
        self.evictable.set(id, &mut self.hosts[id].evictable_at, from);
    }

    fn remove(&mut self, id: HostId, now: Duration) -> Reindexed {
        self.set_timer(id, None);
        self.set_evictable(id, None);
        let mut host = self.hosts.remove(id);
        self.states.note(id, &mut host.noted, StateEnd::default(), now);
        self.names.remove(&host.name);
        if host.in_ring && self.ring.front() == Some(&id) {
            self.ring.pop_front();
        } else if host.in_ring {
            // Its last line left out of turn, or without a start: seldom enough to scan the ring.
            self.ring.retain(|other| *other != id);
        }
        Reindexed::Removed
    }
}

impl Index<HostId> for HostTable {
    type Output = Host;

    fn index(&self, id: HostId) -> &Host {
        &self.hosts[id]
    }
}

impl IndexMut<HostId> for HostTable {
    fn index_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id]
    }
}

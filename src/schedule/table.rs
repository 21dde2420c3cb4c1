//! The host table: which hosts are tracked, the ring of ready hosts, and the timers of the others.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::host::{Host, HostLimits};
use super::host_state::End;
use super::robots::Denial;
use crate::hosts::{host_name, port_of};
use crate::item::{Kind, Request};

impl Core {
    /// The host whose turn it is, once those that are not ready any more have left the ring.
    pub(super) fn next_host(&mut self, now: Duration) -> Option<usize> {
        while let Some(id) = self.ring.front().copied() {
            if self.hosts[id].next_start().is_some_and(|at| at <= now) {
                return Some(id);
            }
            self.ring.pop_front();
            self.hosts[id].in_ring = false;
            self.refresh(id, now);
        }
        None
    }

    /// The host whose next line may start now, and may be fetched; lines before it that may not are settled.
    pub(super) fn next_allowed(&mut self, now: Duration) -> Option<usize> {
        loop {
            let id = self.next_host(now).filter(|_| !self.is_full() && self.rate_limiter.next() <= now)?;
            if self.deny_front(id, now) == Denial::None {
                return Some(id);
            }
        }
    }

    /// Fires the timers that are due.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            self.hosts[id].timer = None;
            self.refresh(id, now);
        }
        while let Some((_, id)) = self.forgettable.first().copied().filter(|(kept, _)| *kept <= now)
            && !self.untracked.is_empty()
        {
            self.set_timer(id, None);
            self.forget(id, now);
        }
        let lines_time = self.lines_time(now);
        while let Some((end, id, at, ordinal)) = self.deadlines.first().copied().filter(|(end, ..)| *end <= lines_time)
        {
            self.deadlines.remove(&(end, id, at, ordinal));
            let Some(job) = self.hosts[id].take_again(at, ordinal) else { continue };
            self.waiting -= 1;
            let why = match &job.last_error {
                Some(message) => {
                    format!("the line's deadline passed while it waited for another attempt: {message}")
                }
                None => "the line's deadline passed while it waited for its host".to_owned(),
            };
            self.settle(job, None, Some((Kind::Deadline, why)), now);
            self.refresh(id, now);
        }
    }

    /// The host's number in the table; `None` when the table is full and the host is not in it.
    pub(super) fn host_of(&mut self, request: &Request, now: Duration) -> Option<usize> {
        self.host_among(request, self.settings.max_hosts, now)
    }

    /// The same for a table of so many hosts.
    pub(super) fn host_among(&mut self, request: &Request, max_hosts: usize, now: Duration) -> Option<usize> {
        let (name, port) = (host_name(&request.url), port_of(&request.url));
        let with_port;
        let key = if self.settings.hosts.names_port(name, port) {
            with_port = format!("{name}:{port}");
            &with_port
        } else {
            name
        };
        if let Some(id) = self.names.get(key) {
            return Some(*id);
        }
        self.admit(key, self.settings.limits_of(name, port), max_hosts, now)
    }

    /// Takes in a host that is not in the table, if it has room.
    pub(super) fn admit(&mut self, key: &str, limits: HostLimits, max_hosts: usize, now: Duration) -> Option<usize> {
        if self.hosts.len() >= max_hosts && !self.evict(now) {
            return None;
        }
        let key: Arc<str> = key.into();
        let id = self.hosts.insert(Host::new(Arc::clone(&key), limits));
        self.names.insert(key, id);
        Some(id)
    }

    /// Makes room in a full table: a host without lines that is only remembered for what it once said could keep others
    /// out for years.
    fn evict(&mut self, now: Duration) -> bool {
        let Some((_, id)) = self.forgettable.first().copied().filter(|(kept, _)| *kept <= now) else { return false };
        self.set_timer(id, None);
        self.remove(id, now);
        true
    }

    /// Brings the ring, the timers and the table in line with the host's state, and with that of hosts whose lines waited
    /// for one that was settled here.
    pub(super) fn refresh(&mut self, id: usize, now: Duration) {
        self.bring_in_line(id, now);
        while let Some(id) = self.unblocked.pop() {
            self.bring_in_line(id, now);
        }
    }

    fn bring_in_line(&mut self, id: usize, now: Duration) {
        let clocks = self.clocks(now);
        // It may have made room for another in the meantime.
        let Some(host) = self.hosts.get(id) else { return };
        if host.waiting() > 0
            && let Some(error) = host.hopeless(&self.settings, clocks)
        {
            self.settle_host(id, &error, now);
        }
        self.note_host_state(id, self.hosts[id].state_ends(now), now);
        let host = &mut self.hosts[id];
        let next_start = host.next_start();
        let ready = next_start.is_some_and(|at| at <= now);
        if ready && !host.in_ring {
            host.in_ring = true;
            self.ring.push_back(id);
        }
        if host.is_idle() {
            return self.rest(id, now);
        }
        let wake_at = match ready {
            // A line that falls due later may be the oldest one, for which a ready host may have to wait.
            true => host.next_due(now),
            false => {
                let gives_up_in =
                    host.circuit_breaker.gives_up_in(&self.settings.health, clocks).filter(|_| host.waiting() > 0);
                let gives_up_at = gives_up_in.map(|left| now + left);
                [next_start, gives_up_at].into_iter().flatten().filter(|at| *at > now).min()
            }
        };
        self.keep(id);
        self.set_timer(id, wake_at.filter(|at| *at > now));
    }

    /// Keeps a host without lines for as long as it must be, and remembers it for as long as nobody needs its place.
    fn rest(&mut self, id: usize, now: Duration) {
        let host = &mut self.hosts[id];
        let (kept, remembered) = (host.kept_until(), host.remembered_until(&self.settings));
        if remembered <= now || (kept <= now && !self.untracked.is_empty()) {
            self.set_timer(id, None);
            return self.forget(id, now);
        }
        if remembered > kept && host.place_free_at != Some(kept) {
            self.keep(id);
            self.hosts[id].place_free_at = Some(kept);
            self.forgettable.insert((kept, id));
        }
        self.set_timer(id, Some(remembered));
    }

    fn set_timer(&mut self, id: usize, wake_at: Option<Duration>) {
        let old = std::mem::replace(&mut self.hosts[id].timer, wake_at);
        if old == wake_at {
            return;
        }
        if let Some(at) = old {
            self.timers.remove(&(at, id));
        }
        if let Some(at) = wake_at {
            self.timers.insert((at, id));
        }
    }

    /// It has lines: its place is not to be had.
    fn keep(&mut self, id: usize) {
        if let Some(kept) = self.hosts[id].place_free_at.take() {
            self.forgettable.remove(&(kept, id));
        }
    }

    /// Drops a host of which nothing need be remembered, and lets a waiting one in.
    fn forget(&mut self, id: usize, now: Duration) {
        self.remove(id, now);
        while let Some(job) = self.untracked.pop_front() {
            match self.host_of(&job.request, now) {
                Some(id) => self.enqueue(job, id, now),
                None => return self.untracked.push_front(job),
            }
        }
    }

    fn remove(&mut self, id: usize, now: Duration) {
        self.keep(id);
        self.note_host_state(id, End::default(), now);
        let host = self.hosts.remove(id);
        self.names.remove(&host.name);
        if host.in_ring && self.ring.front() == Some(&id) {
            self.ring.pop_front();
        } else if host.in_ring {
            // Its last line left out of turn, or without a start at all: seldom enough to look through the ring.
            self.ring.retain(|other| *other != id);
        }
    }
}

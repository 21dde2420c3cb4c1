//! The table of hosts: who is in it, whose turn it is, and when each is looked at again.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::host::Host;
use super::judge::too_long;
use crate::hosts::{host_name, port_of};
use crate::item::{Attempt, Kind, Request};

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

    /// Fires the timers that are due.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            self.hosts[id].timer = None;
            self.refresh(id, now);
        }
        let lines_time = self.lines_time(now);
        while let Some((end, id, at, turn)) = self.deadlines.first().copied().filter(|(end, ..)| *end <= lines_time) {
            self.deadlines.remove(&(end, id, at, turn));
            let Some(job) = self.hosts[id].again.remove(&(at, turn)) else { continue };
            self.waiting -= 1;
            let why = match &job.last_error {
                Some((_, message)) => {
                    format!("the line's deadline passed while it waited for another attempt: {message}")
                }
                None => "the line's deadline passed while it waited for its host".to_owned(),
            };
            self.settle(job, None, Some((Kind::Deadline, why)), now);
            self.refresh(id, now);
        }
    }

    /// The host's number in the table; `None` when the table is full and the host is not in it.
    pub(super) fn host_of(&mut self, request: &Request) -> Option<usize> {
        self.host_among(request, self.settings.max_hosts)
    }

    /// The same for a table of so many hosts.
    pub(super) fn host_among(&mut self, request: &Request, max_hosts: usize) -> Option<usize> {
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
        if self.hosts.len() >= max_hosts && !self.evict_closed() {
            return None;
        }
        let limits = self.settings.limits_of(name, port);
        let key: Arc<str> = key.into();
        let id = self.hosts.insert(Host::new(Arc::clone(&key), limits));
        self.names.insert(key, id);
        Some(id)
    }

    /// Makes room in a full table: a closed host without lines could keep others out for years, so it is forgotten.
    fn evict_closed(&mut self) -> bool {
        // Nothing outlasts a rest that is too long to be waited for, so its timer is the last.
        let Some((at, id)) = self.timers.last().copied().filter(|(_, id)| self.hosts[*id].is_merely_closed()) else {
            return false;
        };
        self.timers.remove(&(at, id));
        let host = self.hosts.remove(id);
        self.names.remove(&host.name);
        self.ring.retain(|other| *other != id);
        true
    }

    /// Lets the oldest line into the table even if it is full: all its hosts may be waiting for that line.
    pub(super) fn admit_oldest(&mut self, now: Duration) {
        let oldest = self.turns.oldest().map(|(turn, _)| turn);
        let Some(job) = self.untracked.pop_front_if(|job| Some(job.ticket.turn) == oldest) else { return };
        if let Some(id) = self.host_among(&job.request, usize::MAX) {
            self.enqueue(job, id, now);
        }
    }

    /// Brings the ring, the timers and the table in line with the host's state.
    pub(super) fn refresh(&mut self, id: usize, now: Duration) {
        // It may have made room for another in the meantime.
        let Some(closed_until) = self.hosts.get(id).map(|host| host.closed_until) else { return };
        if closed_until > now && self.hosts[id].waiting() > 0 {
            self.settle_host(id, &too_long(closed_until - now), now);
        }
        let Some(host) = self.hosts.get_mut(id) else { return };
        let idle = host.waiting() == 0 && host.in_flight == 0;
        let next_start = host.next_start();
        let ready = next_start.is_some_and(|at| at <= now);
        if ready && !host.in_ring {
            host.in_ring = true;
            self.ring.push_back(id);
        }
        let wake_at = match (idle, ready) {
            // Others wait for its place, and nobody will wait for the end of its rest.
            (true, _) if host.is_merely_closed() && !self.untracked.is_empty() => None,
            (true, _) => Some(host.forget_at()),
            // A line that falls due later may be the oldest one, for which a ready host may have to wait.
            (false, true) => host.next_due(now),
            (false, false) => next_start,
        };
        if let Some(at) = host.timer.take() {
            self.timers.remove(&(at, id));
        }
        match wake_at.filter(|at| *at > now) {
            Some(at) => {
                host.timer = Some(at);
                self.timers.insert((at, id));
            }
            None if idle => self.forget(id, now),
            None => {}
        }
    }

    /// Drops a host of which nothing need be remembered, and lets a waiting one in.
    pub(super) fn forget(&mut self, id: usize, now: Duration) {
        let host = self.hosts.remove(id);
        self.names.remove(&host.name);
        if host.in_ring {
            // Its last line left out of turn, or without a start at all: seldom enough to look through the ring.
            self.ring.retain(|other| *other != id);
        }
        while let Some(job) = self.untracked.pop_front() {
            match self.host_of(&job.request) {
                Some(id) => self.enqueue(job, id, now),
                None => return self.untracked.push_front(job),
            }
        }
    }

    /// A Retry-After of one answer holds for the whole host.
    pub(super) fn obey_retry_after(&mut self, id: usize, attempt: &Attempt, now: Duration) {
        let Attempt::Answer(answer) = attempt else { return };
        let Some(wait) = answer.retry_after else { return };
        let host = &mut self.hosts[id];
        let until = now.saturating_add(wait.0);
        if wait.0 > self.settings.retry.max_retry_after {
            host.closed_until = host.closed_until.max(until);
        } else {
            host.paused_until = host.paused_until.max(until);
        }
    }
}

//! Keeps the parts of the schedule consistent: hosts enter and leave the table, lines their queues; timers fire.

use std::time::Duration;

use url::Url;

use super::Core;
use super::decide::canceled;
use super::host_key::host_key;
use super::host_state::HostState;
use super::host_table::{Capacity, Pick, Reindexed};
use super::job::Job;
use super::line_book::{HostId, Place};
use super::rate_limiter::RateLimiter;
use super::robots::KnownRobots;
use super::stop::Phase;
use super::wait_reason::WaitReason;
use crate::hosts::{host_name, port_of};
use crate::item::{ErrorKind, Received, Request, WaitedFor};

/// The end of the previous run, at which every host counts as having got a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastRun {
    /// The time from then to the start of this run.
    ended_ago: Duration,
    /// The start of this run.
    began: Duration,
}

impl Core {
    /// The number of the request's host; `None` if it is not in the table and there is no room.
    pub(super) fn host_of(&mut self, request: &Request, capacity: Capacity, now: Duration) -> Option<HostId> {
        let key = host_key(&self.settings, &request.url);
        if let Some(id) = self.hosts.find(&key) {
            self.catch_up(id, now);
            return Some(id);
        }
        let limits = self.settings.limits_of(host_name(&request.url), port_of(&request.url));
        let id = self.hosts.insert(&key, limits, capacity, now)?;
        self.hosts[id].token = self.settings.token_of(host_name(&request.url), port_of(&request.url));
        let crawl_delay = self.robots.as_ref().map(|robots| robots.crawl_delay(&request.url));
        self.pace(id, crawl_delay.unwrap_or_default());
        self.slow_since_reload(id, now);
        self.obey_at_entry(id, now);
        self.hosts[id].rate_limiter.enter(now);
        Some(id)
    }

    /// Sets the rate limiter of a host that entered the table: the previous run may have sent it a request at any time
    /// until its end.
    fn pace(&mut self, id: HostId, crawl_delay: Duration) {
        let host = &mut self.hosts[id];
        let rate_limiter = RateLimiter::with_crawl_delay(host.limits.every, crawl_delay);
        host.rate_limiter = match self.last_run {
            Some(LastRun { ended_ago, began }) => rate_limiter.resume(ended_ago, began),
            None => rate_limiter,
        };
        host.cost = self.cost.of_next_host();
        host.arrivals.before = self.input.lines();
    }

    /// Puts a line that was not dispatched yet at the end of its host's queue, if the table has room for the host.
    pub(super) fn track(&mut self, job: Box<Job>, capacity: Capacity, now: Duration) {
        match self.host_of(&job.call.request, capacity, now) {
            Some(host) => self.enqueue(job, host, None, now),
            None => self.hosts.add_untracked(job),
        }
    }

    /// Puts a line that was dispatched into the queue of its request's host, where it goes before fresh lines once it
    /// is due. There is always room for that host, because there are never more such hosts than lines in the window.
    /// Cancels a line that gets no further request.
    pub(super) fn requeue(&mut self, job: Box<Job>, due: Duration, now: Duration) {
        if self.is_stopped(job.ticket.source) {
            self.settle(job, Received::Nothing, Some(canceled()), now);
        } else if let Some(host) = self.host_of(&job.call.request, Capacity::Unbounded, now) {
            self.enqueue(job, host, Some(due), now);
        }
    }

    /// Puts a line into the queue of its host, or ends it; then the host may leave the table.
    fn enqueue(&mut self, job: Box<Job>, host: HostId, due: Option<Duration>, now: Duration) {
        self.queue_or_end(job, host, due, now);
        self.refresh(host, now);
    }

    fn queue_or_end(&mut self, mut job: Box<Job>, host: HostId, due: Option<Duration>, now: Duration) {
        if self.hosts[host].skips() {
            let error = self.skipped(host, job.ticket.source);
            return self.settle(job, Received::Nothing, Some(error), now);
        }
        if self.phase == Phase::Stopping && self.paused_until(host) == Duration::MAX {
            return self.settle(job, Received::Nothing, Some(canceled()), now);
        }
        if let Some(error) = self.hosts[host].closed(now).filter(|_| !self.is_durable(job.ticket.source)) {
            self.note_failed_wait(&mut job, WaitedFor::HostPause, now);
            return self.settle(job, Received::Nothing, Some(error), now);
        }
        let Some((job, due)) = self.keep_or_end(job, host, due, now) else { return };
        let (line, port) = (job.slot.line, port_of(&job.call.request.url));
        self.change_clock(line, host, now);
        self.lines.place(line, Place::Waiting { host, port, due });
        self.hosts.add(host, job, due);
        match due {
            Some(_) => self.watch_deadline(line, host, now),
            None => self.note_arrival(host),
        }
    }

    /// Fires the timers that are due.
    pub(super) fn advance(&mut self, now: Duration) {
        self.expire_overrides(now);
        while let Some(id) = self.hosts.take_timer(now) {
            self.refresh(id, now);
        }
        while self.hosts.make_room(now) == Reindexed::Removed {
            self.track_next(now);
        }
        let lines_time = self.clock.read(now).lines;
        while let Some((_, line)) = self.lines.first_deadline().filter(|(end, _)| *end <= lines_time)
            && let Place::Waiting { host: id, port, due } = self.lines.place_of(line)
        {
            if self.has_stale_deadline(line, id, now) {
                continue;
            }
            let pick = Pick::Line { ordinal: self.lines.ordinal(line), port, due };
            let Some(job) = self.hosts.take(id, pick) else { return };
            let why = match &job.progress.last_error {
                Some(message) => {
                    format!("the line's deadline passed while it waited for another attempt: {message}")
                }
                None => "the line's deadline passed while it waited for its host".to_owned(),
            };
            self.settle(job, Received::Nothing, Some((ErrorKind::Deadline, why)), now);
            self.refresh(id, now);
        }
    }

    /// Updates the table to a host's state, and to that of hosts whose lines waited for one that was settled here.
    pub(super) fn refresh(&mut self, id: HostId, now: Duration) {
        self.reindex(id, now);
        while let Some(id) = self.hosts.take_unblocked() {
            self.reindex(id, now);
        }
    }

    fn reindex(&mut self, id: HostId, now: Duration) {
        // It may have been evicted meanwhile.
        if self.hosts.get(id).is_none() {
            return;
        }
        self.follow_quota(id, now);
        self.follow_token(id, now);
        let clocks = self.clocks(id, now);
        while let Some(gave_up) = self.hosts[id].queue.gave_up(clocks) {
            let mut lines = 0;
            while let Some(mut job) = self.hosts.take(id, Pick::OfPort(gave_up.port)) {
                self.note_failed_wait(&mut job, WaitedFor::Circuit, now);
                self.settle(job, Received::Nothing, Some(gave_up.error.clone()), now);
                lines += 1;
            }
            self.note_gave_up(id, &gave_up, lines);
        }
        let wait = self.hosts[id].next_wait();
        if let Some(wait) = wait {
            self.note_wait(id, wait, now);
        }
        self.update_backlog(id, wait, clocks);
        let next_start = wait.and_then(WaitReason::until);
        if self.hosts.reindex(id, next_start, &self.settings, clocks) == Reindexed::Removed {
            self.track_next(now);
        }
    }

    /// Notes what the lines of this host wait for from now on; `wait` is the host's own reason.
    fn note_wait(&mut self, id: HostId, wait: WaitReason, now: Duration) {
        let reason = if wait.is_over(now) {
            match self.run_wait() {
                WaitReason::Rate { until } if until <= now => Some(WaitedFor::Concurrency),
                run => run.waited_for(),
            }
        } else {
            wait.waited_for()
        };
        self.hosts[id].waits.note(reason, now);
    }

    /// Notes the wait of a line that fails with all lines of an unreachable port, or of a closed host.
    pub(super) fn note_failed_wait(&self, job: &mut Job, reason: WaitedFor, now: Duration) {
        let since = self.lines.due(job.slot.line).unwrap_or(job.progress.accepted);
        job.slot.longest_wait.note(reason, now.saturating_sub(since));
    }

    /// Notes the waits of a line that starts at this host now.
    pub(super) fn note_waited(&self, job: &mut Job, id: HostId, now: Duration) {
        const SHORT: Duration = Duration::from_millis(1);
        let since = self.lines.due(job.slot.line).unwrap_or(job.progress.accepted);
        if now.saturating_sub(since) < SHORT {
            return;
        }
        let stall = self.stalls.longest(since, now);
        if let Some((reason, time)) = stall {
            job.slot.longest_wait.note(reason, time);
        }
        if let Some((reason, time)) = self.hosts[id].waits.longest(since, now) {
            // A host that is ready waits for the run, which may have been stalled meanwhile.
            let stalled = stall.filter(|_| reason == WaitedFor::Concurrency).map(|(_, time)| time);
            job.slot.longest_wait.note(reason, time.saturating_sub(stalled.unwrap_or_default()));
        }
    }

    /// Tracks untracked lines while there is room in the table.
    fn track_next(&mut self, now: Duration) {
        while let Some(mut job) = self.hosts.take_untracked(None) {
            let waited = now.saturating_sub(job.progress.accepted);
            match self.host_of(&job.call.request, Capacity::Bounded, now) {
                Some(host) => {
                    job.slot.longest_wait.note(WaitedFor::Hosts, waited);
                    self.enqueue(job, host, None, now);
                }
                None => return self.hosts.add_untracked(job),
            }
        }
    }

    /// Goes on after a run that ended `ended_ago`: no host gets a request before its interval after that end.
    pub fn resume_pace(&mut self, ended_ago: Duration, now: Duration) {
        self.last_run = Some(LastRun { ended_ago, began: now });
        self.rate_limiter = RateLimiter::new(self.settings.every).resume(ended_ago, now);
    }

    /// Restores the robots.txt rules of the previous run.
    pub fn restore_robots(&mut self, known: Vec<KnownRobots>, now: Duration) {
        let Some(robots) = &mut self.robots else { return };
        for known in known {
            let url = Url::parse(&known.site).ok().filter(|_| !known.crawl_delay.is_zero());
            robots.restore(known, now);
            // A host with a restored state is in the table already.
            let host = url.as_ref().and_then(|url| self.hosts.find(&host_key(&self.settings, url)));
            if let Some((url, id)) = url.as_ref().zip(host) {
                self.hosts[id].rate_limiter.slow_to(robots.crawl_delay(url));
            }
        }
    }

    /// The next robots.txt rules to be saved for the next run, before a line of the site starts.
    pub fn take_learnt_robots(&mut self) -> Option<KnownRobots> {
        self.robots.as_mut()?.take_learnt()
    }

    /// Restores the host states of the previous run.
    pub fn restore(&mut self, known: Vec<HostState>, now: Duration) {
        for host_state in known {
            // Without room for this host there is none for the others.
            let Some(id) = self.host_called(&host_state.host, now) else { return };
            let clocks = self.clocks(id, now);
            let host = &mut self.hosts[id];
            host.restore_pause(&host_state, clocks);
            for circuit in host_state.unreachable {
                let port = circuit.port;
                let switch = host.restore_circuit(circuit, &self.settings, clocks);
                self.circuit_changes.note_switch(&host.name, port, switch);
            }
            self.refresh(id, now);
        }
    }

    /// Whether any host state changed since [`Self::host_states`] was called.
    pub fn has_host_state_changes(&self) -> bool {
        self.hosts.has_state_changes()
    }

    /// The states of hosts with a pause or an open circuit.
    pub fn host_states(&mut self, now: Duration) -> Vec<HostState> {
        self.hosts.host_states(&self.settings, self.clock.read(now))
    }

    /// The number of the host that had this name in the previous run. If no pattern has its port any more, it is that
    /// of all its ports.
    pub(super) fn host_called(&mut self, key: &str, now: Duration) -> Option<HostId> {
        let with_port = key.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
        let (key, name, port) = match with_port {
            Some((name, port)) if self.settings.hosts.names_port(name, port) => (key, name, port),
            Some((name, _)) => (name, name, 0),
            None => (key, key, 0),
        };
        if let Some(id) = self.hosts.find(key) {
            return Some(id);
        }
        let limits = self.settings.limits_of(name, port);
        let id = self.hosts.insert(key, limits, Capacity::Bounded, now)?;
        self.hosts[id].token = self.settings.token_of(name, port);
        self.pace(id, Duration::ZERO);
        self.slow_since_reload(id, now);
        self.obey_at_entry(id, now);
        self.hosts[id].rate_limiter.enter(now);
        Some(id)
    }
}

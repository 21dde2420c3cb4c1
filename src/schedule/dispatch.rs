//! Dispatch: which line starts next, with which memory and connection.
//!
//! Hosts take turns; the oldest unsettled line goes first when body memory is short, because all others may have to
//! wait for it.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Core;
use super::adaptive::AdaptiveLimit;
use super::connection_budget::Demand;
use super::host_table::{Capacity, Pick};
use super::job::{ConnectionChoice, Job};
use super::line_book::{HostId, LineId, Place};
use super::robots::Denial;
use super::stall_clock::StallReason;
use super::wait_reason::WaitReason;
use crate::hosts::origin_of;
use crate::item::{CHUNK, Connection};

/// The resources for the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Bytes of body memory.
    pub memory: u64,
}

/// Whether there is body memory for the line whose turn it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyMemoryRoom {
    /// There is, or no line may start for other reasons.
    #[default]
    Enough,
    /// The line waits for memory, and all lines behind it wait, too.
    Lacking,
}

impl Core {
    /// Notes whether lines wait for body memory, for queries.
    pub fn note_memory(&mut self, room: BodyMemoryRoom) {
        self.body_memory = room;
    }

    /// The resources for the line that may start now; `None` if none may. Changes nothing, except that it settles lines
    /// that robots.txt disallows.
    pub fn peek(&mut self, now: Duration) -> Option<Need> {
        self.advance(now);
        let id = self.next_allowed(now)?;
        let line = self.hosts[id].front(now)?;
        Some(self.need_of(line, now))
    }

    /// Takes the line that may start now: from here on it is on the wire.
    pub fn take(&mut self, now: Duration) -> Option<Box<Job>> {
        self.advance(now);
        let id = self.next_allowed(now)?;
        let job = self.hosts.take(id, Pick::Next(now))?;
        self.hosts.leave_ring();
        Some(self.start(job, id, now))
    }

    /// Takes the oldest unsettled line if it waits and may start now, out of its host's turn and before others of its
    /// host. If it waits for a line that fetches its robots.txt, takes that one; if robots.txt disallows it, settles it
    /// and goes on with the next oldest.
    pub fn take_oldest(&mut self, now: Duration) -> Option<Box<Job>> {
        self.advance(now);
        loop {
            self.track_oldest(now);
            self.let_oldest_go(now);
            let (job, id) = self.pick_oldest(now)?;
            match self.refusal(&job, now) {
                Some(refusal) => self.refuse(job, id, refusal, now),
                None => return Some(self.start(job, id, now)),
            }
        }
    }

    /// The concurrency limit, an adaptive one or this number of permits, if a line waits only for that. Call it after
    /// `take` returned nothing, or permits ran out, at the same `now`.
    pub fn reached_limit(&mut self, permits: usize, now: Duration) -> Option<usize> {
        self.next_host(now)?;
        match self.run_wait() {
            WaitReason::Concurrency { limit, .. } => Some(limit as usize),
            wait => wait.is_over(now).then_some(permits),
        }
    }

    /// The reason for which all lines of the run wait, or waited last.
    pub(super) fn run_wait(&self) -> WaitReason {
        if let Some(reason) = self.clock.reasons().next() {
            return if reason == StallReason::Paused { self.run_pause() } else { WaitReason::Stalled(reason) };
        }
        let full = self.adaptive.as_ref().map(AdaptiveLimit::limit).or(self.at_most).and_then(|limit| {
            let in_flight = self.lines.in_flight();
            (in_flight >= limit as usize).then_some(WaitReason::Concurrency { in_flight, limit })
        });
        full.unwrap_or(WaitReason::Rate { until: self.rate_limiter.next() })
    }

    /// Whether a line of any host may start now.
    fn may_start(&self, now: Duration) -> bool {
        self.run_wait().is_over(now)
    }

    /// The host whose turn it is; hosts that are not ready any more leave the ring.
    pub(super) fn next_host(&mut self, now: Duration) -> Option<HostId> {
        while let Some(id) = self.hosts.first_ready() {
            self.catch_up(id, now);
            if self.hosts[id].next_start().is_some_and(|at| at <= now) {
                return Some(id);
            }
            self.hosts.leave_ring();
            self.refresh(id, now);
        }
        None
    }

    /// The host whose next line may start now, and may be fetched. Settles disallowed lines before it.
    fn next_allowed(&mut self, now: Duration) -> Option<HostId> {
        loop {
            let id = self.next_host(now).filter(|_| self.may_start(now))?;
            if self.refuse_front(id, now) == Denial::None {
                return Some(id);
            }
        }
    }

    /// Tracks the oldest line even if the table is full: all hosts may be waiting for this line.
    fn track_oldest(&mut self, now: Duration) {
        let untracked = |line: &LineId| self.lines.place_of(*line) == Place::Untracked;
        let Some(line) = self.lines.oldest().filter(untracked) else { return };
        if let Some(job) = self.hosts.take_untracked(Some(self.lines.ordinal(line))) {
            self.track(job, Capacity::Unbounded, now);
        }
    }

    /// Takes the oldest line, or the one that it waits for, out of its queue if its host lets it start.
    fn pick_oldest(&mut self, now: Duration) -> Option<(Box<Job>, HostId)> {
        if !self.may_start(now) {
            return None;
        }
        let line = self.stand_in(self.lines.oldest()?);
        if let Some(id) = self.lines.host(line) {
            self.catch_up(id, now);
        }
        let Place::Waiting { host, port, due } = self.lines.place_of(line) else { return None };
        let ordinal = self.lines.ordinal(line);
        if !self.hosts[host].wait_of(ordinal, port, due).is_over(now) {
            return None;
        }
        let pick = Pick::Line { ordinal, port, due };
        self.hosts.take(host, pick).map(|job| (job, host))
    }

    /// The line that must end before this one may start: the one that fetches a robots.txt at its port. Lines that
    /// fetch one themselves do not wait for it.
    fn stand_in(&self, line: LineId) -> LineId {
        let Place::Waiting { host, port, due } = self.lines.place_of(line) else { return line };
        let queue = &self.hosts[host].queue;
        let fetches_robots = || queue.fetches_robots(self.lines.ordinal(line), port, due);
        queue.robots_fetch(port).filter(|_| !fetches_robots()).unwrap_or(line)
    }

    /// Moves a line that was taken out of its host's queue onto the wire.
    fn start(&mut self, mut job: Box<Job>, id: HostId, now: Duration) -> Box<Job> {
        self.note_waited(&mut job, id, now);
        let delay = self.robots.as_ref().map(|robots| robots.crawl_delay(&job.call.request.url));
        let host = &mut self.hosts[id];
        host.start(job.ticket.ordinal, &job.call.request.url, delay.unwrap_or_default(), now);
        let due = self.lines.due(job.slot.line);
        if due.is_none() {
            host.retries.note_request(now);
            self.retries.note_request(now);
        }
        self.rate_limiter.start(Duration::ZERO, now);
        self.lines.place(job.slot.line, Place::OnWire { host: id, since: now });
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.note_in_flight(u32::try_from(self.lines.in_flight()).unwrap_or(u32::MAX));
        }
        if self.needs_robots(&job, now) {
            self.fetch_robots_first(&mut job, id, due);
        } else if job.slot.parked.is_none() {
            job.progress.started.get_or_insert(now);
        }
        self.note_token(&job, id, now);
        let lines_time = self.clocks(id, now).lines;
        let deadline = self.lines.deadline_or_set(job.slot.line, lines_time.saturating_add(self.settings.deadline));
        job.call.limits = self.settings.response_limits(&job.call.request, deadline.saturating_sub(lines_time));
        job.call.connection = self.connection_for(&mut job, id, now);
        self.refresh(id, now);
        job
    }

    /// The connection for a request. A kept connection may close before the request arrives, so non-repeatable requests
    /// take none. Nor do requests with a body: an early response leaves it unfinished on the connection.
    fn connection_for(&mut self, job: &mut Job, id: HostId, now: Duration) -> Connection {
        let choice = std::mem::take(&mut job.slot.connection);
        let request = &job.call.request;
        let has_body = request.extra.as_ref().is_some_and(|extra| extra.body.is_some());
        if choice == ConnectionChoice::New || has_body || !job.call.is_repeatable(&self.settings.retry.methods) {
            return Connection::New;
        }
        // The line follows its robots.txt.
        let more = self.hosts[id].waiting() > 0 || job.slot.parked.is_some();
        let demand = if more { Demand::More } else { Demand::Last };
        self.connections.start(origin_of(&job.call.request.url), demand, now)
    }

    fn need_of(&self, job: &Job, now: Duration) -> Need {
        let full_at_start = !job.call.is_repeatable(&self.settings.retry.methods) && !self.needs_robots(job, now);
        let usual = if full_at_start { self.largest_body(job).max(CHUNK) } else { CHUNK };
        Need { memory: job.slot.reserve.map_or(usual, NonZeroU64::get) }
    }

    /// The most body memory that the response to this line can need.
    fn largest_body(&self, job: &Job) -> u64 {
        self.settings.response_limits(&job.call.request, Duration::ZERO).max_body.min(self.settings.largest_body)
    }
}

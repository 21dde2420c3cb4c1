//! How a line moves: into its host's queue, onto the wire, back into a queue, and to its end.

use std::time::Duration;

use super::circuit_breaker::Now;
use super::decide::{Decision, RetryCost, is_idempotent, too_long};
use super::robots::RobotsFile;
use super::{Core, Need};
use crate::hosts::origin_of;
use crate::item::{Attempt, CHUNK, CredentialScope, Hop, Job, Kind, Next, Request, Response, RobotsCheck, Sent};

impl Core {
    /// Puts a line that was not sent yet at the end of its host's queue.
    pub(super) fn enqueue(&mut self, mut job: Box<Job>, id: usize, now: Duration) {
        job.host = id;
        self.unsettled.place(job.ticket.ordinal, id);
        self.hosts[id].fresh.push_back(job);
        self.refresh(id, now);
    }

    /// Puts a line back that was sent, or was about to be: it goes before fresh lines once it is due.
    pub(super) fn requeue(&mut self, mut job: Box<Job>, id: usize, at: Duration, now: Duration) {
        job.host = id;
        self.waiting += 1;
        self.unsettled.place(job.ticket.ordinal, id);
        let ordinal = job.ticket.ordinal;
        self.deadlines.insert((self.deadline_of(&job), id, at, ordinal));
        let host = &mut self.hosts[id];
        let queue = if job.parked.is_some() { &mut host.robots } else { &mut host.again };
        queue.insert((at, ordinal), job);
        self.refresh(id, now);
    }

    /// Moves a line of its host, due at this time if it was sent before, onto the wire.
    pub(super) fn start(&mut self, mut job: Box<Job>, due: Option<Duration>, now: Duration) -> Box<Job> {
        let id = job.host;
        let delay = self.robots.as_ref().map(|robots| robots.crawl_delay(&job.request.url, now));
        let host = &mut self.hosts[id];
        host.rate_limiter.slow_to(delay.unwrap_or_default());
        host.in_flight += 1;
        host.rate_limiter.start(now);
        host.circuit_breaker.start(job.ticket.ordinal);
        let in_flight = host.in_flight;
        if let Some(adaptive) = host.adaptive() {
            adaptive.note_in_flight(in_flight);
        }
        if due.is_none() {
            host.retries.note_request(now);
            self.retries.note_request(now);
        }
        self.rate_limiter.start(now);
        self.waiting -= 1;
        self.in_flight += 1;
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.note_in_flight(u32::try_from(self.in_flight).unwrap_or(u32::MAX));
        }
        if let Some(at) = due {
            self.deadlines.remove(&(self.deadline_of(&job), id, at, job.ticket.ordinal));
        }
        if self.needs_robots(&job, now) {
            self.fetch_robots_first(&mut job);
        } else if job.parked.is_none() {
            job.started.get_or_insert(now);
        }
        job.sent = now;
        let lines_time = self.lines_time(now);
        let deadline = *job.deadline.get_or_insert(lines_time.saturating_add(self.settings.deadline));
        job.time_limit = self.settings.timeout.min(deadline.saturating_sub(lines_time));
        job.connection = self.connections.start(origin_of(&job.request.url), now);
        self.refresh(id, now);
        job
    }

    pub(super) fn carry_out(&mut self, mut job: Box<Job>, attempt: Attempt, decision: Decision, now: Duration) {
        let id = job.host;
        match decision {
            Decision::Settle(None) => self.settle(job, attempt.into_response(), None, now),
            Decision::Settle(Some(error)) => self.end(job, attempt, error, now),
            Decision::Retry { at, cost, because } => {
                let at = at.max(self.hosts[id].pause.paused_until);
                if let Some(error) = self.refuse_retry(&mut job, at, cost, &because, now) {
                    return self.end(job, attempt, error, now);
                }
                if job.parked.is_none() {
                    job.next = Next::Attempt;
                }
                job.last_error = Some(because.1.into());
                self.requeue(job, id, at, now);
            }
            Decision::Reserve(need) => {
                job.reserve = Some(need);
                self.requeue(job, id, now, now);
            }
            Decision::Follow(hop, request, credential_scope) => self.follow(job, hop, *request, credential_scope, now),
        }
    }

    /// The error of a line that cannot be tried again at this time, if it cannot; otherwise the retry is charged.
    fn refuse_retry(
        &mut self,
        job: &mut Job,
        at: Duration,
        cost: RetryCost,
        because: &(Kind, String),
        now: Duration,
    ) -> Option<(Kind, String)> {
        let closed_until = self.hosts[job.host].pause.closed_until;
        if closed_until > now {
            return Some(too_long(closed_until - now));
        }
        if self.lines_time(now) + at.saturating_sub(now) >= self.deadline_of(job) {
            // The wait is longer than the line's time.
            return Some(because.clone());
        }
        let refusal = match cost {
            RetryCost::Charged => self.pay(job, now).err()?,
            RetryCost::Free => return None,
        };
        Some((because.0, format!("{}; {refusal}", because.1)))
    }

    /// Ends a line with this error, or, if a robots.txt is what it could not get, what is to be had for it.
    fn end(&mut self, job: Box<Job>, attempt: Attempt, error: (Kind, String), now: Duration) {
        match error {
            (Kind::HttpStatus, why) if job.parked.is_some() => {
                self.store_robots(job, RobotsFile::Unavailable(why), now);
            }
            error => self.settle(job, attempt.into_response(), Some(error), now),
        }
    }

    /// Charges one retry to the line and to the budgets. A line that waits for an open circuit keeps its retries for when
    /// it closes.
    fn pay(&mut self, job: &mut Job, now: Duration) -> Result<(), String> {
        let host = &mut self.hosts[job.host];
        if host.circuit_breaker.is_open() {
            return Ok(());
        }
        if !host.retries.allows(&self.settings.host_budget, now) {
            return Err(format!(
                "it was not tried again, for the retries of {} used up their share (retry.budget)",
                host.name
            ));
        }
        if !self.retries.allows(&self.settings.budget, now) {
            return Err(
                "it was not tried again, for the retries of all hosts used up their share (retry.budget)".to_owned()
            );
        }
        host.retries.note_retry(now);
        self.retries.note_retry(now);
        job.retries += 1;
        Ok(())
    }

    /// Sends the line where its redirect leads, through that host's limits.
    pub(super) fn follow(
        &mut self,
        mut job: Box<Job>,
        hop: Hop,
        request: Request,
        credential_scope: CredentialScope,
        now: Duration,
    ) {
        job.hops.push(hop);
        job.next = Next::Hop;
        job.credential_scope = credential_scope;
        job.reserve = None;
        job.robots_check = RobotsCheck::Pending;
        job.request = request;
        // Redirects always find room: there are never more of them than lines in the window.
        if let Some(id) = self.host_among(&job.request, usize::MAX, now) {
            self.requeue(job, id, now, now);
        }
    }

    pub(super) fn settle(
        &mut self,
        mut job: Box<Job>,
        response: Option<Box<Response>>,
        error: Option<(Kind, String)>,
        now: Duration,
    ) {
        let (response, error) = match job.parked {
            None => (response, error),
            // What came back was for its robots.txt, and is no answer to the line.
            Some(_) => (None, error.map(of_robots)),
        };
        self.unpark(&mut job);
        self.unsettled.settle(job.ticket.ordinal);
        self.settled.push_back(job.settle(response, error, now));
    }

    /// Settles every line that waits at this host.
    pub(super) fn settle_host(&mut self, id: usize, error: &(Kind, String), now: Duration) {
        let host = &mut self.hosts[id];
        let mut again = std::mem::take(&mut host.again);
        again.append(&mut host.robots);
        let fresh = std::mem::take(&mut host.fresh);
        for ((at, ordinal), job) in &again {
            self.deadlines.remove(&(self.deadline_of(job), id, *at, *ordinal));
        }
        for job in again.into_values().chain(fresh) {
            self.waiting -= 1;
            self.settle(job, None, Some(error.clone()), now);
        }
    }

    /// When the line's time is over, by the clock of [`Self::lines_time`].
    pub(super) fn deadline_of(&self, job: &Job) -> Duration {
        job.deadline.unwrap_or(Duration::MAX)
    }

    /// The time that counts against lines: it stands still while records cannot be written.
    pub(super) fn lines_time(&self, now: Duration) -> Duration {
        self.stalled_since.unwrap_or(now).min(now).saturating_sub(self.stalled)
    }

    pub(super) fn clocks(&self, now: Duration) -> Now {
        Now { time: now, lines: self.lines_time(now) }
    }

    pub(super) fn need_of(&self, job: &Job, now: Duration) -> Need {
        let full_at_start = !is_idempotent(&job.request.method) && !self.needs_robots(job, now);
        let usual = if full_at_start { self.settings.largest_body.max(CHUNK) } else { CHUNK };
        Need { memory: job.reserve.unwrap_or(usual) }
    }
}

/// The error of a line that ends without its robots.txt.
fn of_robots((kind, message): (Kind, String)) -> (Kind, String) {
    match kind {
        Kind::Canceled => (kind, message),
        kind => (kind, format!("its robots.txt could not be fetched: {message}")),
    }
}

/// Counts the request, if one was sent.
pub(super) fn note_sent(job: &mut Job, attempt: &Attempt) {
    let sent = match attempt {
        Attempt::Response(_) => true,
        Attempt::Failed(failure) => !matches!(failure.sent, Sent::Refused | Sent::Starved),
        Attempt::Canceled => true,
        Attempt::NoMemory { .. } => false,
    };
    if sent && job.next == Next::Attempt && job.parked.is_none() {
        job.attempts += 1;
    }
    let starved = matches!(attempt, Attempt::Failed(failure) if failure.sent == Sent::Starved);
    job.starved = if starved { job.starved + 1 } else { 0 };
}

//! Completes attempts: requeues the line, follows its redirect, or settles it.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Core;
use super::connection_budget::Reuse;
use super::decide::{AttemptContext, Decision, RetryCost, canceled};
use super::host_pause::too_long;
use super::job::{ConnectionChoice, Job, Next, RobotsCheck};
use super::line_book::{HostId, Place};
use super::robots::is_unavailable;
use super::token_decision::TokenDecision;
use super::totals::RetryDenial;
use crate::hosts::port_of;
use crate::item::{Attempt, CredentialScope, ErrorKind, Hop, Received, Request, Sent, WaitedFor};

impl Core {
    /// Completes an attempt that took `wire`.
    pub fn complete(&mut self, mut job: Box<Job>, attempt: Attempt, wire: Duration, now: Duration) {
        let Place::OnWire { host: id, since: sent } = self.lines.place_of(job.slot.line) else { return };
        let reuse = Reuse::after(&attempt);
        self.connections.end(job.call.connection, reuse, now);
        job.progress.wire += wire;
        note_sent(&mut job, &attempt);
        let chance = self.chance.f64();
        let clocks = self.clocks(id, now);
        let host = &mut self.hosts[id];
        let was_closed = host.is_closed(now);
        host.in_flight -= 1;
        host.pause.observe(&attempt, &self.settings.retry, sent, chance, now);
        if let Some(head) = attempt.head() {
            host.observe_quota(head, &self.settings.retry, now);
        }
        self.note_contact(id, &job, &attempt, now);
        self.adapt(id, &job, &attempt, sent, now);
        self.follow_quota(id, now);
        let context = AttemptContext {
            policy: &self.settings.retry,
            max_redirects: self.settings.max_redirects,
            keeps_place: self.is_durable(job.ticket.source),
            now,
            overdue: self.lines.deadline(job.slot.line).is_some_and(|end| clocks.lines >= end),
            wire,
            connect_timeout: self.settings.connect_timeout,
            chance,
        };
        let decision = context.decide(&job, &attempt);
        let (line, spent, requests) = (job.slot.line, job.progress.wire, job.progress.attempts);
        self.conclude(job, id, attempt, decision, now);
        if !was_closed {
            self.fail_closed(id, now);
        }
        self.note_cost(id, line, spent, requests);
        self.refresh(id, now);
    }

    /// Carries out the decision on a line, unless its attempt fetched robots.txt, concerns its host's token, or was the
    /// last before a stop.
    fn conclude(&mut self, job: Box<Job>, id: HostId, attempt: Attempt, decision: Decision, now: Duration) {
        if let Decision::Settle(Some(error)) | Decision::Retry { because: error, .. } = &decision {
            self.hosts[id].note_trouble((error.0, &error.1), now);
        }
        let token_decision = self.judge_token(&job, id, &attempt, now);
        let continues = decision.continues() || token_decision != TokenDecision::Decide;
        if job.slot.parked.is_some() {
            self.complete_robots(job, id, attempt, decision, now);
        } else if continues && (self.is_stopped(job.ticket.source) || self.is_stopping_paused()) {
            self.settle(job, attempt.into_received(), Some(canceled()), now);
        } else if token_decision != TokenDecision::Decide {
            self.carry_out_token(job, decision, token_decision, attempt, now);
        } else {
            self.carry_out(job, id, attempt, decision, now);
        }
    }

    /// Carries out the decision on an attempt at this host.
    pub(super) fn carry_out(
        &mut self,
        mut job: Box<Job>,
        id: HostId,
        attempt: Attempt,
        decision: Decision,
        now: Duration,
    ) {
        match decision {
            Decision::Settle(None) => self.settle(job, attempt.into_received(), None, now),
            Decision::Settle(Some(error)) => self.end(job, attempt, error, now),
            Decision::Retry { at, cost, because } => {
                let at = at.max(self.hosts[id].pause.until());
                if let Some(error) = self.refuse_retry(&mut job, id, at, cost, &because, now) {
                    return self.end(job, attempt, error, now);
                }
                if job.slot.parked.is_none() {
                    job.slot.next = Next::Attempt;
                }
                if matches!(attempt, Attempt::Failed(_)) {
                    // A request that failed on a kept connection may fail on the next one, and be sent twice again.
                    job.slot.connection = ConnectionChoice::New;
                }
                if cost == RetryCost::Wait && job.progress.waits > 1 {
                    self.hosts[id].queue.let_fresh_line_pass();
                }
                job.progress.last_error = Some(because.1.into());
                let is_paused = at <= self.hosts[id].pause.until();
                let reason = if is_paused { WaitedFor::HostPause } else { WaitedFor::Backoff };
                job.slot.longest_wait.note(reason, at.saturating_sub(now));
                self.requeue(job, at, now);
            }
            Decision::Resend(why) => {
                job.slot.connection = ConnectionChoice::New;
                job.progress.last_error = Some(why.into());
                self.requeue(job, now, now);
            }
            Decision::Reserve(need) => {
                job.slot.reserve = NonZeroU64::new(need);
                self.requeue(job, now, now);
            }
            Decision::Follow(hop, request, credential_scope) => self.follow(job, hop, *request, credential_scope, now),
        }
    }

    /// The error of a line that cannot be retried at this time; if it can, charges the retry.
    fn refuse_retry(
        &mut self,
        job: &mut Job,
        id: HostId,
        at: Duration,
        cost: RetryCost,
        because: &(ErrorKind, String),
        now: Duration,
    ) -> Option<(ErrorKind, String)> {
        let host = &self.hosts[id];
        if host.is_closed(now) && !self.is_durable(job.ticket.source) {
            self.totals.deny(RetryDenial::RetryAfter);
            return Some(too_long(host.pause.closed_until - now));
        }
        let stalled = self.stalled_until(id).max(self.paused_until(id));
        let starts = self.clocks(id, now).lines + at.saturating_sub(stalled.max(now));
        if self.lines.deadline(job.slot.line).is_some_and(|end| starts >= end) {
            // The wait goes beyond the line's deadline.
            self.totals.deny(RetryDenial::Deadline);
            return Some(because.clone());
        }
        let paid = match cost {
            RetryCost::Charged => self.pay(job, id, now),
            RetryCost::Wait => self.pay_wait(job),
            RetryCost::Free => return None,
        };
        match paid {
            Ok(()) => {
                self.totals.retries += 1;
                None
            }
            Err((denial, refusal)) => {
                self.totals.deny(denial);
                Some((because.0, format!("{}; {refusal}", because.1)))
            }
        }
    }

    /// Ends a line with this error, unless the error only concerns its robots.txt.
    pub(super) fn end(&mut self, job: Box<Job>, attempt: Attempt, error: (ErrorKind, String), now: Duration) {
        match error {
            (kind, why) if is_unavailable(&job, kind) => self.note_unavailable(job, why, now),
            error => self.settle(job, attempt.into_received(), Some(error), now),
        }
    }

    /// Charges one wait to the line, so that a server that always sends a Retry-After does not get requests until the
    /// deadline.
    fn pay_wait(&self, job: &mut Job) -> Result<(), (RetryDenial, String)> {
        if u32::from(job.progress.waits) >= self.settings.retry.max_waits {
            let why = format!("not retried after {} waits (retry.max_waits)", job.progress.waits);
            return Err((RetryDenial::MaxWaits, why));
        }
        job.progress.waits += 1;
        Ok(())
    }

    /// Charges one retry to the line and to the budgets. A line that waits for an open circuit is charged a wait
    /// instead, and keeps its retries.
    fn pay(&mut self, job: &mut Job, id: HostId, now: Duration) -> Result<(), (RetryDenial, String)> {
        let host = &mut self.hosts[id];
        if host.queue.open_port(port_of(&job.call.request.url)).is_some() {
            return self.pay_wait(job);
        }
        if !host.retries.allows(&self.settings.host_budget, now) {
            let name = &host.name;
            let why = format!("not retried, because the retry budget of {name} is used up (retry.budget)");
            return Err((RetryDenial::HostBudget, why));
        }
        if !self.retries.allows(&self.settings.budget, now) {
            let why = "not retried, because the retry budget of all hosts is used up (retry.budget)";
            return Err((RetryDenial::Budget, why.to_owned()));
        }
        host.retries.note_retry(now);
        self.retries.note_retry(now);
        job.progress.retries += 1;
        Ok(())
    }

    /// Sends the line to the target of its redirect, through that host's limits.
    fn follow(
        &mut self,
        mut job: Box<Job>,
        hop: Hop,
        request: Request,
        credential_scope: CredentialScope,
        now: Duration,
    ) {
        job.progress.hops.push(hop);
        job.slot.next = Next::Hop;
        job.call.credential_scope = credential_scope;
        job.slot.reserve = None;
        job.slot.robots_check = RobotsCheck::Pending;
        job.call.request = request;
        self.requeue(job, now, now);
    }

    /// Settles a line that is in no queue. Leaves a canceled line of a durable source for the next start instead.
    pub(super) fn settle(
        &mut self,
        mut job: Box<Job>,
        received: Received,
        error: Option<(ErrorKind, String)>,
        now: Duration,
    ) {
        let (received, error) = match job.slot.parked {
            None => (received, error),
            // The response was for its robots.txt, not for the line.
            Some(_) => (Received::Nothing, error.map(of_robots)),
        };
        self.unpark(&mut job);
        let line = job.slot.line;
        if self.is_durable(job.ticket.source) && matches!(error, Some((ErrorKind::Canceled, _))) {
            return self.lines.leave_for_next_start(line);
        }
        self.lines.settle(line, job.settle(received, error, now));
    }
}

/// The error of a line that ends without its robots.txt.
fn of_robots((kind, message): (ErrorKind, String)) -> (ErrorKind, String) {
    match kind {
        ErrorKind::Canceled | ErrorKind::Skipped => (kind, message),
        kind => (kind, format!("its robots.txt could not be fetched: {message}")),
    }
}

/// Counts the request, if one was sent.
fn note_sent(job: &mut Job, attempt: &Attempt) {
    let sent = match attempt {
        Attempt::Response(_) | Attempt::Redirect(_) => true,
        Attempt::Failed(failure) => {
            !matches!(failure.sent, Sent::Refused | Sent::Starved | Sent::Stale | Sent::LongHead)
        }
        Attempt::Canceled => true,
        Attempt::NoMemory { .. } => false,
    };
    if sent && job.slot.next == Next::Attempt && job.slot.parked.is_none() {
        job.progress.attempts += 1;
    }
    let starved = matches!(attempt, Attempt::Failed(failure) if failure.sent == Sent::Starved);
    job.slot.starved = if starved { job.slot.starved.saturating_add(1) } else { 0 };
}

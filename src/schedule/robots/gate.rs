//! The robots.txt gate: the first line of an origin parks its own request, fetches robots.txt, and resumes its request.
//! Meanwhile no other line of its host and port starts. So the fetch obeys queue, limits, retries and deadline like any
//! request.

use std::time::Duration;

use http::{Method, StatusCode};

use super::refusal::Refusal;
use super::rules::RobotsRules;
use super::waits::RobotsWait;
use crate::hosts::port_of;
use crate::item::{
    Attempt, CredentialScope, ErrorKind, Head, Purpose, Received, Redirect, Request, WaitedFor, check_url,
};
use crate::schedule::Core;
use crate::schedule::decide::{Decision, RetryCost};
use crate::schedule::host_table::Pick;
use crate::schedule::job::{Job, ParkedRequest, RobotsCheck};
use crate::schedule::line_book::HostId;

/// Redirects of a robots.txt that are followed (RFC 9309, section 2.3.1.2).
const MOST_REDIRECTS: u32 = 5;

impl Core {
    /// Takes the host's next line out of its queue if robots.txt forbids or delays it; returns whether it did. This
    /// uses up the host's turn, so that many such lines do not hold up other hosts.
    pub(in crate::schedule) fn refuse_front(&mut self, id: HostId, now: Duration) -> Denial {
        if self.robots.is_none() {
            return Denial::None;
        }
        let Some(refusal) = self.hosts[id].front(now).and_then(|line| self.refusal(line, now)) else {
            return Denial::None;
        };
        if let Some(job) = self.hosts.take(id, Pick::Next(now)) {
            self.refuse(job, id, refusal, now);
        }
        if self.hosts.first_ready() == Some(id) {
            self.hosts.end_turn();
        }
        Denial::Refused
    }

    /// Why the line cannot be fetched now, if that is known.
    pub(in crate::schedule) fn refusal(&self, line: &Job, now: Duration) -> Option<Refusal> {
        let robots = self.robots.as_ref()?;
        if line.slot.parked.is_some() || line.slot.robots_check == RobotsCheck::Allowed {
            return None;
        }
        robots.refusal(&line.call.request.url, now)
    }

    /// Settles a line that was taken out of its queue, or puts it back for later.
    pub(in crate::schedule) fn refuse(&mut self, job: Box<Job>, id: HostId, refusal: Refusal, now: Duration) {
        match refusal {
            Refusal::Settle(kind, why) => self.fail(job, (kind, why), now),
            Refusal::Wait(wait) => self.delay(job, id, wait, now),
        }
        self.refresh(id, now);
    }

    /// Settles a line that robots.txt refuses.
    fn fail(&mut self, job: Box<Job>, error: (ErrorKind, String), now: Duration) {
        if let Some(robots) = self.robots.as_mut().filter(|_| error.0 == ErrorKind::RobotsUnavailable) {
            robots.note_gave_up(&job.call.request.url);
        }
        self.settle(job, Received::Nothing, Some(error), now);
    }

    /// Puts a line back until its robots.txt may be fetched again.
    fn delay(&mut self, mut job: Box<Job>, id: HostId, wait: RobotsWait, now: Duration) {
        self.hosts[id].robots_waits.get_or_insert_default().note(wait, now);
        job.slot.longest_wait.note(WaitedFor::Robots, wait.until.saturating_sub(now));
        self.requeue(job, wait.until, now);
    }

    /// Whether the line's robots.txt has to be fetched before it.
    pub(in crate::schedule) fn needs_robots(&self, job: &Job, now: Duration) -> bool {
        let unknown = |robots: &RobotsRules| !robots.knows(&job.call.request.url, now);
        self.robots.as_ref().is_some_and(unknown)
            && job.slot.parked.is_none()
            && job.slot.robots_check == RobotsCheck::Pending
    }

    /// Makes a line that is about to start fetch its origin's robots.txt first; other lines of its host and port wait.
    /// `due` is when the line was due, if it was dispatched before.
    pub(in crate::schedule) fn fetch_robots_first(&mut self, job: &mut Job, id: HostId, due: Option<Duration>) {
        self.hosts[id].robots_waits.iter_mut().for_each(|waits| waits.begin_fetch(due));
        let mut url = job.call.request.url.clone();
        url.set_path("/robots.txt");
        url.set_query(None);
        let request = Request { method: Method::GET, url, extra: None };
        let request = std::mem::replace(&mut job.call.request, request);
        job.call.purpose = Purpose::RobotsTxt;
        let retries = std::mem::take(&mut job.progress.retries);
        job.slot.parked = Some(Box::new(ParkedRequest {
            request,
            credential_scope: job.call.credential_scope,
            retries,
            host: id,
            redirects: 0,
        }));
        self.hosts.start_robots_fetch(id, port_of(&job.call.request.url), job.slot.line);
    }

    /// Handles the result of a robots.txt fetch; `decision` is the one for an ordinary line.
    pub(in crate::schedule) fn complete_robots(
        &mut self,
        job: Box<Job>,
        id: HostId,
        attempt: Attempt,
        decision: Decision,
        now: Duration,
    ) {
        match (&attempt, attempt.head()) {
            (Attempt::Response(response), _) if response.head.status.is_success() => {
                let text = response.body.data.clone();
                self.store_robots(job, &text, now);
            }
            // The status alone shows that there is no file, or a redirect.
            (_, Some(head)) if is_elsewhere(head.status) && !is_not_http(&attempt) => match self.redirected(&job, head)
            {
                Some(request) => self.redirect_robots(job, request, now),
                None => self.store_robots(job, b"", now),
            },
            _ => self.fail_robots(job, id, attempt, decision, now),
        }
    }

    /// Retries a failed fetch like any other line. Once the file counts as unavailable, which a pause of its host
    /// causes at once, each cool-down has one attempt.
    fn fail_robots(&mut self, job: Box<Job>, id: HostId, attempt: Attempt, decision: Decision, now: Duration) {
        let site = job.slot.parked.as_ref().map(|parked| &parked.request.url);
        let is_unavailable = |robots: &RobotsRules| site.is_some_and(|url| robots.is_unavailable(url, now));
        match decision {
            Decision::Retry { because, cost, .. }
                if (cost == RetryCost::Wait && attempt.head().is_some())
                    || (cost == RetryCost::Charged && self.robots.as_ref().is_some_and(is_unavailable)) =>
            {
                self.end(job, attempt, because, now);
            }
            decision => self.carry_out(job, id, attempt, decision, now),
        }
    }

    /// The target of a robots.txt redirect, unless there were too many, or no line would follow it.
    fn redirected(&self, job: &Job, head: &Head) -> Option<Request> {
        let parked = job.slot.parked.as_ref().filter(|parked| parked.redirects < MOST_REDIRECTS)?;
        let Redirect::To(url) = Redirect::of(head, &job.call.request.url) else { return None };
        let downgraded = parked.request.url.scheme() == "https" && url.scheme() == "http";
        if downgraded || check_url(&url).is_err() {
            return None;
        }
        Some(Request { url: *url, ..job.call.request.clone() })
    }

    fn redirect_robots(&mut self, mut job: Box<Job>, request: Request, now: Duration) {
        if let Some(parked) = &mut job.slot.parked {
            parked.redirects += 1;
        }
        // Configured headers of the line's own host are not sent to other hosts.
        job.call.credential_scope = CredentialScope::OtherHost;
        job.call.request = request;
        self.requeue(job, now, now);
    }

    /// Stores a site's rules, and resumes the line that fetched them, before all others of its host.
    fn store_robots(&mut self, mut job: Box<Job>, file: &[u8], now: Duration) {
        let host = job.slot.parked.as_ref().map(|parked| parked.host);
        self.unpark(&mut job);
        let (Some(robots), Some(host)) = (&mut self.robots, host) else { return };
        robots.store(&job.call.request.url, file, now);
        // The request for the file was also one to the host.
        self.hosts[host].rate_limiter.slow_to(robots.crawl_delay(&job.call.request.url));
        self.go_on(job, host, now);
    }

    /// Notes that the file could not be fetched; the line that tried waits for the next attempt like the others.
    pub(in crate::schedule) fn note_unavailable(&mut self, mut job: Box<Job>, why: String, now: Duration) {
        let host = job.slot.parked.as_ref().map(|parked| parked.host);
        self.unpark(&mut job);
        let (Some(robots), Some(host)) = (&mut self.robots, host) else { return };
        // The cool-down starts after the host's pause, so that its lines are checked before the next attempt.
        let from = self.hosts[host].pause.paused_until.max(now);
        robots.store_failure(&job.call.request.url, why, &self.settings.health, now, from);
        self.go_on(job, host, now);
    }

    /// Resumes, delays or settles the line that fetched the file.
    fn go_on(&mut self, mut job: Box<Job>, id: HostId, now: Duration) {
        match self.refusal(&job, now) {
            Some(Refusal::Settle(kind, why)) => self.fail(job, (kind, why), now),
            Some(Refusal::Wait(wait)) => self.delay(job, id, wait, now),
            None => {
                // Noted now, because the cache may evict the rules before the line starts.
                if !self.needs_robots(&job, now) {
                    job.slot.robots_check = RobotsCheck::Allowed;
                }
                self.requeue(job, now, now);
            }
        }
    }

    /// Restores the line's own request after its robots.txt fetch; other lines of its host may start again.
    pub(in crate::schedule) fn unpark(&mut self, job: &mut Job) {
        let Some(parked) = job.slot.parked.take() else { return };
        (job.call.request, job.call.credential_scope, job.progress.retries, job.slot.reserve) =
            (parked.request, parked.credential_scope, parked.retries, None);
        job.call.purpose = Purpose::Line;
        if job.progress.started.is_none() {
            // The line's own first request follows, perhaps after a long Crawl-delay.
            self.lines.unset_deadline(job.slot.line);
        }
        self.hosts[parked.host].robots_waits.iter_mut().for_each(|waits| waits.end_fetch());
        self.hosts.end_robots_fetch(parked.host, port_of(&job.call.request.url));
    }
}

/// Whether the host's next line was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Denial {
    /// It was settled, or waits.
    Refused,
    /// It may start.
    None,
}

/// Whether an error of a robots.txt fetch only means that the file is unavailable. If the line's own host cannot be
/// found, reached or trusted, or its deadline passes after its first start, the line itself fails.
pub(in crate::schedule) fn is_unavailable(job: &Job, kind: ErrorKind) -> bool {
    let Some(parked) = &job.slot.parked else { return false };
    match kind {
        ErrorKind::Deadline => job.progress.started.is_none(),
        ErrorKind::HttpStatus
        | ErrorKind::Reset
        | ErrorKind::Timeout
        | ErrorKind::Protocol
        | ErrorKind::BodyIncomplete
        | ErrorKind::BodyTooLarge
        | ErrorKind::Decode
        | ErrorKind::Panic => true,
        ErrorKind::Canceled | ErrorKind::RetryAfterTooLong => false,
        // An error of the host that a redirect led to is no error of the line's own.
        _ => parked.redirects > 0,
    }
}

/// Whether there is a redirect, or no file (sections 2.3.1.2 and 2.3.1.3). A 429 is like a server error (2.3.1.4).
fn is_elsewhere(status: StatusCode) -> bool {
    (status.is_redirection() || status.is_client_error()) && status != StatusCode::TOO_MANY_REQUESTS
}

fn is_not_http(attempt: &Attempt) -> bool {
    matches!(attempt, Attempt::Failed(failure) if failure.kind == ErrorKind::Protocol)
}

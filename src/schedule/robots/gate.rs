//! The robots.txt gate: the first line of an origin parks its own request, fetches robots.txt, and takes its request up again.
//! Meanwhile no other line of its host starts. So the file passes the same queue, limits, retries and deadline as any request.

use std::time::Duration;

use http::{Method, StatusCode};

use super::{RobotsFile, RobotsRules};
use crate::item::{Attempt, CredentialScope, ErrorKind, Head, Purpose, Received, Redirect, Request, check_url};
use crate::schedule::Core;
use crate::schedule::decide::Decision;
use crate::schedule::host_table::Pick;
use crate::schedule::job::{Job, ParkedRequest, RobotsCheck};
use crate::schedule::line_book::HostId;

/// Redirects of a robots.txt that are followed (RFC 9309, section 2.3.1.2).
const MOST_REDIRECTS: u32 = 5;

impl Core {
    /// Settles the host's next line if its site does not want it to be fetched; says whether it did. That was the host's
    /// turn, so that many such lines do not hold up the others.
    pub(in crate::schedule) fn deny_front(&mut self, id: HostId, now: Duration) -> Denial {
        if self.robots.is_none() {
            return Denial::None;
        }
        let Some(why) = self.hosts[id].front(now).and_then(|line| self.denial(line, now)) else { return Denial::None };
        if let Some(job) = self.hosts.take(id, Pick::Next(now)) {
            self.deny(job, id, why, now);
        }
        if self.hosts.first_ready() == Some(id) {
            self.hosts.end_turn();
        }
        Denial::Settled
    }

    /// Why the line may not be fetched, if it is known that it may not.
    pub(in crate::schedule) fn denial(&self, line: &Job, now: Duration) -> Option<String> {
        let robots = self.robots.as_ref()?;
        if line.slot.parked.is_some() || line.slot.robots_check == RobotsCheck::Allowed {
            return None;
        }
        robots.denial(&line.call.request.url, now)
    }

    /// Settles a line that was taken out of its queue.
    pub(in crate::schedule) fn deny(&mut self, job: Box<Job>, id: HostId, why: String, now: Duration) {
        self.settle(job, Received::Nothing, Some((ErrorKind::RobotsDenied, why)), now);
        self.refresh(id, now);
    }

    /// Whether the line's robots.txt has to be fetched before it.
    pub(in crate::schedule) fn needs_robots(&self, job: &Job, now: Duration) -> bool {
        let unknown = |robots: &RobotsRules| !robots.knows(&job.call.request.url, now);
        self.robots.as_ref().is_some_and(unknown)
            && job.slot.parked.is_none()
            && job.slot.robots_check == RobotsCheck::Pending
    }

    /// Makes a line that is about to start fetch its origin's robots.txt first; the others of its host wait.
    pub(in crate::schedule) fn fetch_robots_first(&mut self, job: &mut Job, id: HostId) {
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
        self.hosts.start_robots_fetch(id, job.slot.line);
    }

    /// Takes in what came of a robots.txt; the decision is what it would mean for a line of its own.
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
                self.store_robots(job, RobotsFile::Body(&text), now);
            }
            // The status alone says that there is no file, or where it is.
            (_, Some(head)) if is_elsewhere(head.status) && !is_not_http(&attempt) => match self.redirected(&job, head)
            {
                Some(request) => self.redirect_robots(job, request, now),
                None => self.store_robots(job, RobotsFile::Missing, now),
            },
            // A server that fails is asked again as for any other line; in the end its silence is a ban.
            _ => self.carry_out(job, id, attempt, decision, now),
        }
    }

    /// Where a redirect of the robots.txt leads, unless it is one too many, or one that no line would follow either.
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
        // Headers that the configuration has for the line's own host do not travel.
        job.call.credential_scope = CredentialScope::OtherHost;
        job.call.request = request;
        self.requeue(job, now, now);
    }

    /// Learns a site's rules, and lets the line that brought them go its own way, before all others of its host.
    pub(in crate::schedule) fn store_robots(&mut self, mut job: Box<Job>, found: RobotsFile<'_>, now: Duration) {
        self.unpark(&mut job);
        let Some(robots) = &mut self.robots else { return };
        robots.store(&job.call.request.url, found, now);
        if let Some(why) = robots.denial(&job.call.request.url, now) {
            return self.settle(job, Received::Nothing, Some((ErrorKind::RobotsDenied, why)), now);
        }
        // Said once, for the rules may have to make room for others before it starts.
        job.slot.robots_check = RobotsCheck::Allowed;
        self.requeue(job, now, now);
    }

    /// Makes the line what it was, whatever came of its robots.txt; the others of its host may start again.
    pub(in crate::schedule) fn unpark(&mut self, job: &mut Job) {
        let Some(parked) = job.slot.parked.take() else { return };
        (job.call.request, job.call.credential_scope, job.progress.retries, job.slot.reserve) =
            (parked.request, parked.credential_scope, parked.retries, None);
        job.call.purpose = Purpose::Line;
        self.hosts.end_robots_fetch(parked.host);
    }
}

/// Whether the host's next line was one that may not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Denial {
    /// It was, and is settled.
    Settled,
    /// It was not.
    None,
}

/// Sections 2.3.1.2 and 2.3.1.3. A 429 is no answer to the question, like a server's error (section 2.3.1.4).
fn is_elsewhere(status: StatusCode) -> bool {
    (status.is_redirection() || status.is_client_error()) && status != StatusCode::TOO_MANY_REQUESTS
}

fn is_not_http(attempt: &Attempt) -> bool {
    matches!(attempt, Attempt::Failed(failure) if failure.kind == ErrorKind::Protocol)
}

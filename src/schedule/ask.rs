//! How robots.txt is fetched: the first line of a site goes for it, and comes back as the line it was. Meanwhile no other
//! line of its host starts. So the file passes the same queue, limits, retries and deadline as everything else.

use std::time::Duration;

use http::{Method, StatusCode};

use super::Core;
use super::judge::{Judgement, redirect_target};
use super::robots::{Found, Robots};
use crate::item::{Answer, Aside, Attempt, Home, Job, Kind, Leave, Request, check_url};

/// Redirects of a robots.txt that are followed (RFC 9309, section 2.3.1.2).
const MOST_REDIRECTS: u32 = 5;

impl Core {
    /// Settles the host's next line if its site does not want it to be fetched; says whether it did. That was the host's
    /// turn, so that many such lines do not hold up the others.
    pub(super) fn deny_front(&mut self, id: usize, now: Duration) -> Denial {
        if self.robots.is_none() {
            return Denial::None;
        }
        let Some(why) = self.hosts[id].front(now).and_then(|line| self.denial(line, now)) else { return Denial::None };
        if let Some((job, due)) = self.hosts[id].pop(now) {
            self.deny(job, due, why, now);
        }
        if self.ring.front() == Some(&id) {
            self.ring.rotate_left(1);
        }
        Denial::Settled
    }

    /// Why the line may not be fetched, if it is known that it may not.
    pub(super) fn denial(&self, line: &Job, now: Duration) -> Option<String> {
        let robots = self.robots.as_ref()?;
        if line.aside.is_some() || line.leave == Leave::Granted {
            return None;
        }
        robots.denial(&line.request.url, now)
    }

    /// Settles a line that was taken out of its queue.
    pub(super) fn deny(&mut self, job: Box<Job>, due: Option<Duration>, why: String, now: Duration) {
        let id = job.host;
        if let Some(at) = due {
            self.deadlines.remove(&(self.deadline_of(&job), id, at, job.ticket.turn));
        }
        self.waiting -= 1;
        self.settle(job, None, Some((Kind::RobotsDenied, why)), now);
        self.refresh(id, now);
    }

    /// Whether the line's robots.txt has to be fetched before it.
    pub(super) fn must_ask(&self, job: &Job, now: Duration) -> bool {
        let unknown = |robots: &Robots| !robots.knows(&job.request.url, now);
        self.robots.as_ref().is_some_and(unknown) && job.aside.is_none() && job.leave == Leave::Unasked
    }

    /// Makes a line that is about to start go for its site's robots.txt first; the others of its host wait.
    pub(super) fn ask_first(&mut self, job: &mut Job) {
        let mut url = job.request.url.clone();
        url.set_path("/robots.txt");
        url.set_query(None);
        let request = Request { method: Method::GET, url, extra: None };
        let request = std::mem::replace(&mut job.request, request);
        let retries = std::mem::take(&mut job.retries);
        job.aside = Some(Box::new(Aside { request, home: job.home, retries, host: job.host, redirects: 0 }));
        self.hosts[job.host].asking = Some(job.ticket.turn);
    }

    /// Takes in what came of a robots.txt; the judgement is what it would mean for a line of its own.
    pub(super) fn hear(&mut self, job: Box<Job>, attempt: Attempt, judgement: Judgement, now: Duration) {
        match &attempt {
            Attempt::Answer(answer) if answer.status.is_success() => {
                let text = answer.body.data.clone();
                self.learn_robots(job, Found::File(&text), now);
            }
            // A server that fails is asked again as for any other line; in the end its silence is a ban.
            Attempt::Answer(answer) if is_server_error(answer.status) => self.carry_out(job, attempt, judgement, now),
            Attempt::Answer(answer) => match self.redirected(&job, answer) {
                Some(request) => self.follow_robots(job, request, now),
                None => self.learn_robots(job, Found::Nothing, now),
            },
            _ => self.carry_out(job, attempt, judgement, now),
        }
    }

    /// Where a redirect of the robots.txt leads, unless it is one too many, or one that no line would follow either.
    fn redirected(&self, job: &Job, answer: &Answer) -> Option<Request> {
        let aside = job.aside.as_ref().filter(|aside| aside.redirects < MOST_REDIRECTS)?;
        let url = redirect_target(&job.request.url, answer)?;
        let downgraded = aside.request.url.scheme() == "https" && url.scheme() == "http";
        if downgraded || check_url(&url).is_err() {
            return None;
        }
        Some(Request { url, ..job.request.clone() })
    }

    fn follow_robots(&mut self, mut job: Box<Job>, request: Request, now: Duration) {
        if let Some(aside) = &mut job.aside {
            aside.redirects += 1;
        }
        // Headers that the configuration has for the line's own host do not travel.
        job.home = Home::Left;
        job.request = request;
        if let Some(id) = self.host_among(&job.request, usize::MAX, now) {
            self.requeue(job, id, now, now);
        }
    }

    /// Learns a site's rules, and lets the line that brought them go its own way, before all others of its host.
    pub(super) fn learn_robots(&mut self, mut job: Box<Job>, found: Found<'_>, now: Duration) {
        self.put_back(&mut job);
        let Some(robots) = &mut self.robots else { return };
        robots.learn(&job.request.url, found, now);
        if let Some(why) = robots.denial(&job.request.url, now) {
            return self.settle(job, None, Some((Kind::RobotsDenied, why)), now);
        }
        // Said once, for the rules may have to make room for others before it starts.
        job.leave = Leave::Granted;
        if let Some(id) = self.host_among(&job.request, usize::MAX, now) {
            self.requeue(job, id, now, now);
        }
    }

    /// Makes the line what it was, whatever came of its errand; the others of its host may start again.
    pub(super) fn put_back(&mut self, job: &mut Job) {
        let Some(aside) = job.aside.take() else { return };
        (job.request, job.home, job.retries, job.reserve) = (aside.request, aside.home, aside.retries, None);
        self.hosts[aside.host].asking = None;
        self.unblocked.push(aside.host);
    }
}

/// Whether the host's next line was one that may not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// It was, and is settled.
    Settled,
    /// It was not.
    None,
}

/// Section 2.3.1.4; and 429, which is no answer to the question.
fn is_server_error(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

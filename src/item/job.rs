//! A job: one line on its way, from acceptance to its record.

use std::time::Duration;

use http::{Method, StatusCode};
use url::Url;

use super::{Echo, Request, Ticket};

/// One line on its way.
#[derive(Debug)]
pub struct Job {
    /// Its place in the window.
    pub ticket: Ticket,
    /// What its record repeats.
    pub echo: Echo,
    /// What is requested next: the line's own request, or that of the last redirect.
    pub request: Request,
    /// When the line was accepted, from the start of the run.
    pub accepted: Duration,
    /// When its first request started.
    pub started: Option<Duration>,
    /// How long it was on the wire, over all requests.
    pub wire: Duration,
    /// Requests sent, redirects not counted.
    pub attempts: u32,
    /// Retries charged against `retry.retries`.
    pub retries: u32,
    /// Attempts in a row for which this machine had no file or port.
    pub starved: u32,
    /// When the attempt under way, or the last one, started.
    pub sent: Duration,
    /// What the next request is to the line.
    pub next: Next,
    /// Its own request, while it fetches its origin's robots.txt.
    pub parked: Option<Box<ParkedRequest>>,
    /// Whether its site's robots.txt was asked.
    pub robots_check: RobotsCheck,
    /// The redirects followed.
    pub hops: Vec<Hop>,
    /// Whether it still is at the host of its own URL.
    pub credential_scope: CredentialScope,
    /// The last thing that went wrong, for lines whose time runs out while they wait.
    pub last_error: Option<Box<str>>,
    /// Body memory to reserve before the next start, when more than the usual chunk.
    pub reserve: Option<u64>,
    /// The time limit of the attempt under way.
    pub time_limit: Duration,
    /// Whether the attempt under way may leave its connection open.
    pub connection: Connection,
    /// Its number in the schedule's line book.
    pub line: usize,
}

impl Job {
    /// A line that is to be fetched.
    pub fn new(ticket: Ticket, echo: Echo, request: Request, accepted: Duration) -> Box<Self> {
        Box::new(Self {
            ticket,
            echo,
            request,
            accepted,
            started: None,
            wire: Duration::ZERO,
            attempts: 0,
            retries: 0,
            starved: 0,
            sent: Duration::ZERO,
            next: Next::Attempt,
            parked: None,
            robots_check: RobotsCheck::Pending,
            hops: Vec::new(),
            credential_scope: CredentialScope::OwnHost,
            last_error: None,
            reserve: None,
            time_limit: Duration::ZERO,
            connection: Connection::Close,
            line: 0,
        })
    }

    /// The line's own URL: the first one that redirected it, or else the one at hand.
    pub fn own_url(&self) -> &Url {
        let request = self.parked.as_ref().map_or(&self.request, |parked| &parked.request);
        self.hops.first().map_or(&request.url, |hop| &hop.url)
    }
}

/// A redirect that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The URL that answered.
    pub url: Url,
    /// The method it was asked with.
    pub method: Method,
    /// Its status.
    pub status: StatusCode,
}

/// A line's own request, parked while the robots.txt of its origin is fetched.
#[derive(Debug)]
pub struct ParkedRequest {
    /// Its own request.
    pub request: Request,
    /// Whether credentials may still travel with it.
    pub credential_scope: CredentialScope,
    /// Its own retries so far.
    pub retries: u32,
    /// The number of its host in the schedule's table.
    pub host: usize,
    /// Redirects of the robots.txt followed so far.
    pub redirects: u32,
}

/// Whether the request at hand was found to be one that its site's robots.txt allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotsCheck {
    /// Nobody asked.
    Pending,
    /// It is allowed.
    Allowed,
}

/// What a request is to its line: only attempts count as `attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The first request, or one more try of the last one.
    Attempt,
    /// The first request to where a redirect leads.
    Hop,
}

/// Whether credentials may still travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialScope {
    /// At the host of the line's own URL.
    OwnHost,
    /// A redirect led elsewhere once; there is no way back.
    OtherHost,
}

/// How long the client keeps an idle connection; the schedule counts on it.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// What becomes of the connection after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It may stay open for reuse, in the pool of this key.
    Keep(u64),
    /// It closes: as many are kept as may be.
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand of them wait in a full window, and each is read again once nothing of it is in a cache any more.
    #[test]
    fn a_line_that_waits_is_small() {
        assert!(size_of::<Job>() <= 512, "{} bytes", size_of::<Job>());
    }
}

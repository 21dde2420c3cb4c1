//! A job: one line from acceptance to its record. Workers send its call, and see nothing else of it.

use std::num::NonZeroU64;
use std::time::Duration;

use super::line_book::{HostId, LineId};
use super::token_decision::LineToken;
use super::waited::LongestWait;
use crate::item::{
    Call, CredentialScope, Done, Echo, ErrorKind, Freshness, Hop, Outcome, Received, Record, Request, Ticket, Times,
};

/// One line from acceptance to its record.
#[derive(Debug)]
pub struct Job {
    /// Its place in the window.
    pub ticket: Ticket,
    /// The input that its record repeats.
    pub echo: Echo,
    /// The next request, or the one on the wire.
    pub call: Call,
    /// Its progress so far.
    pub progress: Progress,
    pub(super) slot: Slot,
}

/// The progress of a line, which its record shows besides the response.
#[derive(Debug, Default)]
pub struct Progress {
    /// When the line was accepted, from the start of the run.
    pub accepted: Duration,
    /// When its first request started.
    pub started: Option<Duration>,
    /// How long it was on the wire, over all requests.
    pub wire: Duration,
    /// Requests sent, redirects not counted.
    pub attempts: u32,
    /// Retries charged against `retry.retries`, which is at most 100.
    pub retries: u16,
    /// Retries charged against `retry.max_waits`, which is at most 1,000.
    pub waits: u16,
    /// The redirects followed.
    pub hops: Vec<Hop>,
    /// The last error, for lines whose deadline passes while they wait.
    pub last_error: Option<Box<str>>,
}

/// The scheduler's state of a line.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its number in the line book.
    pub line: LineId,
    /// The kind of the next request.
    pub next: Next,
    /// Attempts in a row that failed for lack of files or ports.
    pub starved: u8,
    /// The longest wait.
    pub longest_wait: LongestWait,
    /// Body memory to reserve before the next start, if more than the usual chunk.
    pub reserve: Option<NonZeroU64>,
    /// Which connection the next request may take.
    pub connection: ConnectionChoice,
    /// Its own request, while it fetches its origin's robots.txt.
    pub parked: Option<Box<ParkedRequest>>,
    /// Whether its site's robots.txt was checked.
    pub robots_check: RobotsCheck,
    /// Its token state, if any.
    pub token: Option<Box<LineToken>>,
}

/// A line's own request, parked while the robots.txt of its origin is fetched.
#[derive(Debug)]
pub(super) struct ParkedRequest {
    pub request: Request,
    /// Whether it may still carry credentials.
    pub credential_scope: CredentialScope,
    /// Its own retries so far.
    pub retries: u16,
    /// Its host, whose other lines wait.
    pub host: HostId,
    /// Redirects of the robots.txt followed so far.
    pub redirects: u32,
}

/// Whether robots.txt is known to allow the current request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RobotsCheck {
    Pending,
    Allowed,
}

/// Which connection a request may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ConnectionChoice {
    #[default]
    Any,
    /// The last one was kept, and had ended.
    New,
}

/// The kind of a request: only attempts count as `attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The first request, or a retry.
    Attempt,
    /// The first request to the target of a redirect.
    Hop,
}

impl Job {
    /// A new line.
    pub fn new(ticket: Ticket, echo: Echo, request: Request, accepted: Duration) -> Box<Self> {
        let slot = Slot {
            line: 0,
            next: Next::Attempt,
            starved: 0,
            longest_wait: LongestWait::default(),
            reserve: None,
            connection: ConnectionChoice::Any,
            parked: None,
            robots_check: RobotsCheck::Pending,
            token: None,
        };
        let progress = Progress { accepted, ..Progress::default() };
        Box::new(Self { ticket, echo, call: Call::new(request), progress, slot })
    }

    /// Settles the line.
    pub(super) fn settle(self, received: Received, error: Option<(ErrorKind, String)>, now: Duration) -> Done {
        let Self { ticket, echo, call: Call { request, .. }, progress, slot } = self;
        let outcome = match error.as_ref().map_or(Outcome::Ok, |(kind, _)| kind.outcome(progress.attempts)) {
            // An `http_error` has a whole response.
            Outcome::HttpError if received.body().is_none() => Outcome::Failed,
            outcome => outcome,
        };
        let (freshness, received) = match outcome {
            Outcome::Ok => Freshness::of(&request, received),
            _ => (Freshness::Unknown, received),
        };
        let (method, url, final_url) = match progress.hops.first() {
            Some(own) => (own.method.clone(), own.url.clone(), Some(request.url)),
            None => (request.method, request.url, None),
        };
        let record = Record {
            id: ticket.id.clone(),
            echo,
            url: Some(url),
            final_url,
            method,
            outcome,
            hop_status: progress.hops.last().map(|hop| hop.status),
            received,
            freshness,
            attempts: progress.attempts,
            hops: progress.hops,
            times: Times {
                started: progress.started,
                elapsed: now.saturating_sub(progress.accepted),
                wire: progress.wire,
                waited_for: slot.longest_wait.reason(),
            },
            error,
            page: None,
        };
        Done { ticket, record: Box::new(record) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand of them wait in a full window, and each has left the CPU caches when it is read again.
    #[test]
    fn a_line_that_waits_is_small() {
        assert!(size_of::<Job>() <= 512, "{} bytes", size_of::<Job>());
    }
}

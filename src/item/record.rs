//! The record: the result of a line when it is settled. Sinks serialise it.

use std::time::Duration;

use http::{Method, StatusCode};
use url::Url;

use super::{Echo, ErrorKind, Freshness, Identity, Outcome, RawJson, Received, Rejection, Ticket};

/// The one result of one line.
#[derive(Debug)]
pub struct Record {
    /// The line's identity.
    pub id: Identity,
    /// The parts of the line that it repeats.
    pub echo: Echo,
    /// The URL that was requested first.
    pub url: Option<Url>,
    /// The URL after redirects.
    pub final_url: Option<Url>,
    /// The line's method.
    pub method: Method,
    /// The outcome of the line.
    pub outcome: Outcome,
    /// The received parts of the final response.
    pub received: Received,
    /// Whether the response changed since the one in the line, if the line is a record.
    pub freshness: Freshness,
    /// The status to show if nothing was received: that of the last redirect.
    pub hop_status: Option<StatusCode>,
    /// Requests sent, redirects not counted.
    pub attempts: u32,
    /// The redirects followed.
    pub hops: Vec<Hop>,
    /// The times of the line.
    pub times: Times,
    /// The error kind and message.
    pub error: Option<(ErrorKind, String)>,
    /// The result of a paginated source's reading of the response, with the position from which it resumes.
    pub page: Option<RawJson>,
}

/// A redirect that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The requested URL.
    pub url: Url,
    /// The request's method.
    pub method: Method,
    /// The response's status.
    pub status: StatusCode,
}

/// The times of a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// When the first request started, since the start of the run.
    pub started: Option<Duration>,
    /// The time from acceptance to settlement.
    pub elapsed: Duration,
    /// The part of it in which requests were in progress.
    pub wire: Duration,
    /// The reason for the longest wait, if the line waited.
    pub waited_for: Option<WaitedFor>,
}

/// The reason for which a line waits before a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitedFor {
    /// Back-pressure of a sink.
    Output,
    /// `limits.rate`
    Rate,
    /// `limits.concurrency` or body memory.
    Concurrency,
    /// `limits.hosts`
    Hosts,
    /// `hosts.rate`
    HostRate,
    /// The Crawl-delay of a robots.txt.
    CrawlDelay,
    /// `hosts.concurrency`
    HostConcurrency,
    /// A Retry-After, or a 429.
    HostPause,
    /// The reset of a quota.
    Quota,
    /// A new token.
    Token,
    /// An open circuit breaker.
    Circuit,
    /// A robots.txt.
    Robots,
    /// The back-off before a retry.
    Backoff,
    /// A pause by an operator.
    Paused,
}

impl WaitedFor {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 14] = [
        Self::Output,
        Self::Rate,
        Self::Concurrency,
        Self::Hosts,
        Self::HostRate,
        Self::CrawlDelay,
        Self::HostConcurrency,
        Self::HostPause,
        Self::Quota,
        Self::Token,
        Self::Circuit,
        Self::Robots,
        Self::Backoff,
        Self::Paused,
    ];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Hosts => "hosts",
            Self::HostRate => "host_rate",
            Self::CrawlDelay => "crawl_delay",
            Self::HostConcurrency => "host_concurrency",
            Self::HostPause => "host_pause",
            Self::Quota => "quota",
            Self::Token => "token",
            Self::Circuit => "circuit",
            Self::Robots => "robots",
            Self::Backoff => "backoff",
            Self::Paused => "paused",
        }
    }
}

impl Record {
    /// The record of a line that is rejected without a request.
    pub fn rejected(id: Identity, echo: Echo, rejection: Rejection) -> Self {
        Self {
            id,
            echo,
            url: None,
            final_url: None,
            method: Method::GET,
            outcome: rejection.kind.outcome(0),
            received: Received::Nothing,
            freshness: Freshness::Unknown,
            hop_status: None,
            attempts: 0,
            hops: Vec::new(),
            times: Times::default(),
            error: Some((rejection.kind, rejection.message)),
            page: None,
        }
    }

    /// The error's kind, if any.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(|(kind, _)| *kind)
    }
}

/// A record on its way to the sinks, with its line's ticket.
#[derive(Debug)]
pub struct Done {
    /// The line's ticket.
    pub ticket: Ticket,
    /// The record, boxed once so that it is not moved on the way to the sinks.
    pub record: Box<Record>,
}

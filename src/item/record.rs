//! The record: what is known about a line when it is settled. Sinks turn it into text.

use std::time::Duration;

use http::{Method, StatusCode};
use url::Url;

use super::{Echo, ErrorKind, Freshness, Identity, Outcome, RawJson, Received, Rejection, Ticket};

/// The one result of one line.
#[derive(Debug)]
pub struct Record {
    /// The line's identity.
    pub id: Identity,
    /// What is repeated of the line.
    pub echo: Echo,
    /// The URL that was requested first.
    pub url: Option<Url>,
    /// The URL after redirects.
    pub final_url: Option<Url>,
    /// The line's method.
    pub method: Method,
    /// How it ended.
    pub outcome: Outcome,
    /// What was received of the final response.
    pub received: Received,
    /// Whether that changed since the response that the line is the record of.
    pub freshness: Freshness,
    /// The status to show when nothing was received: that of the last hop.
    pub hop_status: Option<StatusCode>,
    /// Requests sent, redirects not counted.
    pub attempts: u32,
    /// The redirects followed.
    pub hops: Vec<Hop>,
    /// Its clock readings.
    pub times: Times,
    /// What went wrong.
    pub error: Option<(ErrorKind, String)>,
    /// What the line's source read in the answer, if it reads answers: also where it goes on from there.
    pub page: Option<RawJson>,
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

/// When things happened, as time since the start of the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// When the first request started.
    pub started: Option<Duration>,
    /// From acceptance to settlement.
    pub elapsed: Duration,
    /// Of that, on the wire.
    pub wire: Duration,
    /// What it waited for longest, if it waited.
    pub waited_for: Option<WaitedFor>,
}

/// What a line can wait for before a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitedFor {
    /// A sink did not take its records.
    Output,
    /// `limits.rate`
    Rate,
    /// `limits.concurrency`, or body memory.
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
    /// A host that cannot be reached.
    Circuit,
    /// A robots.txt.
    Robots,
    /// The back-off before a retry.
    Backoff,
    /// A pause by an operator.
    Paused,
}

impl WaitedFor {
    /// All of them, by their numbers.
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

    /// The word for it in records.
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
    /// The record of a line that is not requested at all.
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

    /// The error's kind, if it ended with one.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(|(kind, _)| *kind)
    }
}

/// A record on its way out, with the place in the window that it frees.
#[derive(Debug)]
pub struct Done {
    /// The line's ticket.
    pub ticket: Ticket,
    /// Its record, in one place from here to the sinks.
    pub record: Box<Record>,
}

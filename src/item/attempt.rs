//! The result of one attempt, as the worker reports it, without any decision.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};

use super::{ErrorKind, Reservation, TokenGeneration};

/// What happened on the wire; the schedule judges it.
#[derive(Debug)]
pub enum Attempt {
    /// A whole response, whatever its status.
    Response(Box<Response>),
    /// A redirect that can be followed, and whose body was not waited for.
    Redirect(Box<Head>),
    /// No whole response.
    Failed(Failure),
    /// The body did not fit into body memory: start again when `need` bytes are there, uncharged.
    NoMemory {
        /// Bytes to reserve first.
        need: u64,
    },
    /// The run was given up.
    Canceled,
}

impl Attempt {
    /// The head of the response, if one was received.
    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Response(response) => Some(&response.head),
            Self::Redirect(head) => Some(head),
            Self::Failed(failure) => failure.head.as_deref(),
            Self::NoMemory { .. } | Self::Canceled => None,
        }
    }

    /// What its line's record shows of the response.
    pub fn into_received(self) -> Received {
        match self {
            Self::Response(response) => Received::Response(response),
            Self::Redirect(head) | Self::Failed(Failure { head: Some(head), .. }) => Received::Head(head),
            Self::Failed(_) | Self::NoMemory { .. } | Self::Canceled => Received::Nothing,
        }
    }

    /// What happened, in a word; of a server's own words only the number of the status.
    pub fn name(&self) -> &str {
        match self {
            Self::Response(response) => response.head.status.as_str(),
            Self::Redirect(head) => head.status.as_str(),
            Self::Failed(failure) => failure.kind.name(),
            Self::NoMemory { .. } => "no body memory",
            Self::Canceled => "canceled",
        }
    }
}

/// Why there is no whole response.
#[derive(Debug)]
pub struct Failure {
    /// Its row in the table.
    pub kind: ErrorKind,
    /// A sentence for the record.
    pub message: String,
    /// How far the request got.
    pub sent: Sent,
    /// The response's head, if one was received.
    pub head: Option<Box<Head>>,
}

impl Failure {
    /// A failure without a response.
    pub fn new(kind: ErrorKind, message: impl Into<String>, sent: Sent) -> Self {
        Self { kind, message: message.into(), sent, head: None }
    }
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was refused here: no packet left for this attempt.
    Refused,
    /// This machine had no file or port to spare: no packet left, and the line is not charged.
    Starved,
    /// It went over a kept connection that the server closed without an answer: the server has probably not seen it, and
    /// the line is not charged.
    Stale,
    /// The response's head has more lines than are received over a kept connection; the line is not charged.
    LongHead,
    /// No byte of the request was written, or the server has said that it did not act on it.
    Nothing,
    /// Some of the request may have arrived.
    Something,
}

/// What was received of a response.
#[derive(Debug, Default)]
pub enum Received {
    /// Nothing that could be understood.
    #[default]
    Nothing,
    /// The head; the body did not come whole, or could not be used.
    Head(Box<Head>),
    /// All of it.
    Response(Box<Response>),
}

impl Received {
    /// The head, if there is one.
    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Nothing => None,
            Self::Head(head) => Some(head),
            Self::Response(response) => Some(&response.head),
        }
    }

    /// The body, if it is whole.
    pub fn body(&self) -> Option<&Body> {
        match self {
            Self::Nothing | Self::Head(_) => None,
            Self::Response(response) => Some(&response.body),
        }
    }
}

/// A whole response.
#[derive(Debug)]
pub struct Response {
    /// Its body; dropped before the head, which has its memory.
    pub body: Body,
    /// Its status line and headers.
    pub head: Head,
}

/// The head of a response: what records show of it, and what decisions depend on.
#[derive(Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its HTTP version.
    pub version: Version,
    /// Who sent it.
    pub ip: Option<IpAddr>,
    /// `content-type` as sent.
    pub content_type: Option<Box<str>>,
    /// `content-encoding`, when the body stays as it was sent because of it.
    pub content_encoding: Option<Box<str>>,
    /// `etag` as sent, if there is one and no other.
    pub etag: Option<Box<str>>,
    /// `last-modified` as sent.
    pub last_modified: Option<Box<str>>,
    /// `content-length` as sent.
    pub content_length: Option<u64>,
    /// `location`, of a redirect; bytes that no URL has are percent-encoded.
    pub location: Option<Box<str>>,
    /// How long the client is to wait: `retry-after` of a 429, 503 or 403, or until the quota of a 429 or 403 is reset.
    pub retry_after: Option<RetryAfter>,
    /// What is left of the client's quota.
    pub quota: Option<Quota>,
    /// All headers, when records want them.
    pub headers: Option<HeaderMap>,
    /// The content of a token file that the request carried, if it carried one.
    pub token: Option<TokenGeneration>,
    /// Whether the request went over a kept connection.
    pub reused: bool,
    /// Whether the server closes the connection after the response (RFC 9112, section 9.3).
    pub closes: bool,
    /// From the start of the attempt to the response's first byte.
    pub ttfb: Duration,
    /// The body memory that the headers, and the body if it was received, hold until the record is written.
    pub reservation: Option<Reservation>,
}

impl Head {
    /// A head of HTTP/1.1 with this status and no headers.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            version: Version::HTTP_11,
            ip: None,
            content_type: None,
            content_encoding: None,
            etag: None,
            last_modified: None,
            content_length: None,
            location: None,
            retry_after: None,
            quota: None,
            headers: None,
            token: None,
            reused: false,
            closes: false,
            ttfb: Duration::ZERO,
            reservation: None,
        }
    }
}

/// The text of a header's value, none of whose bytes is lost: ISO 8859-1 where it is not UTF-8 (RFC 9110, section 5.5).
pub fn header_text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => value.iter().copied().map(char::from).collect::<String>().into(),
    }
}

/// A Retry-After that can be honoured (RFC 9110, section 10.2.3): how long from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

/// What is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests.
    pub remaining: u64,
    /// From the response to when there are more.
    pub reset: Duration,
}

impl Quota {
    /// A reset in whole seconds may come up to one later.
    pub const MARGIN: Duration = Duration::from_secs(1);
}

/// A received body, after decoding.
#[derive(Debug, Default)]
pub struct Body {
    /// Its bytes; empty when no sink wants bodies.
    pub data: Bytes,
    /// How many bytes there were.
    pub bytes: u64,
    /// SHA-256 of them, when records want it.
    pub sha256: Option<[u8; 32]>,
    /// Whether `max_body` cut it.
    pub truncated: bool,
}

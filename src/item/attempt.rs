//! The result of one attempt, as the worker reports it to the schedule.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};

use super::{ErrorKind, Reservation, TokenGeneration};

/// The result of one attempt, on which the schedule decides.
#[derive(Debug)]
pub enum Attempt {
    /// A whole response, whatever its status.
    Response(Box<Response>),
    /// A redirect that can be followed; its body was not received.
    Redirect(Box<Head>),
    /// No whole response.
    Failed(Failure),
    /// The body did not fit into body memory: the request is repeated, uncharged, once `need` bytes are reserved.
    NoMemory {
        /// Bytes to reserve first.
        need: u64,
    },
    /// The run was stopped before the attempt ended.
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

    /// The parts of the response for the record.
    pub fn into_received(self) -> Received {
        match self {
            Self::Response(response) => Received::Response(response),
            Self::Redirect(head) | Self::Failed(Failure { head: Some(head), .. }) => Received::Head(head),
            Self::Failed(_) | Self::NoMemory { .. } | Self::Canceled => Received::Nothing,
        }
    }

    /// The status or error kind as a word, without text from the server.
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
    /// The error kind.
    pub kind: ErrorKind,
    /// The record's error message.
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
    /// fetchd refused to send it.
    Refused,
    /// Not sent, because this machine had no file or port left. The attempt is not charged to the line.
    Starved,
    /// Sent over a pooled connection that the server closed without a response, so the server has probably not read it.
    /// The attempt is not charged to the line.
    Stale,
    /// The response head has more lines than a pooled connection accepts. The attempt is not charged to the line.
    LongHead,
    /// No byte of the request was written, or the server reported that it did not process it.
    Nothing,
    /// Some of the request may have arrived.
    Something,
}

/// The received parts of a response.
#[derive(Debug, Default)]
pub enum Received {
    /// No valid head.
    #[default]
    Nothing,
    /// The head; the body is incomplete or unusable.
    Head(Box<Head>),
    /// The whole response.
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
    /// Its body; dropped before the head, which holds the memory reservation.
    pub body: Body,
    /// Its status line and headers.
    pub head: Head,
}

/// The parts of a response head that records contain and decisions depend on.
#[derive(Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its HTTP version.
    pub version: Version,
    /// The address of the server.
    pub ip: Option<IpAddr>,
    /// `content-type` as sent.
    pub content_type: Option<Box<str>>,
    /// `content-encoding`, if fetchd did not decode the body.
    pub content_encoding: Option<Box<str>>,
    /// `etag` as sent, if there is exactly one.
    pub etag: Option<Box<str>>,
    /// `last-modified` as sent.
    pub last_modified: Option<Box<str>>,
    /// `content-length` as sent.
    pub content_length: Option<u64>,
    /// `location` of a redirect, with bytes that are invalid in a URL percent-encoded.
    pub location: Option<Box<str>>,
    /// How long to wait: the `retry-after` of a 429, 503 or 403, or the time until the quota of a 429 or 403 is reset.
    pub retry_after: Option<RetryAfter>,
    /// The client's remaining quota.
    pub quota: Option<Quota>,
    /// All headers, if a sink needs them.
    pub headers: Option<HeaderMap>,
    /// The generation of the token that the request carried, if any.
    pub token: Option<TokenGeneration>,
    /// Whether the request used a pooled connection.
    pub reused: bool,
    /// Whether the server closes the connection after the response (RFC 9112, section 9.3).
    pub closes: bool,
    /// The time from the start of the attempt to the response's first byte.
    pub ttfb: Duration,
    /// The body memory of the headers and the body, held until the record is written.
    pub reservation: Option<Reservation>,
}

impl Head {
    /// An HTTP/1.1 head with this status and no headers.
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

/// A header value as text without loss: read as ISO 8859-1 if it is not UTF-8 (RFC 9110, section 5.5).
pub fn header_text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => value.iter().copied().map(char::from).collect::<String>().into(),
    }
}

/// The delay of a valid Retry-After (RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

/// The rest of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Remaining requests.
    pub remaining: u64,
    /// The time from the response to the reset.
    pub reset: Duration,
}

impl Quota {
    /// A reset given in whole seconds may be up to a second later.
    pub const MARGIN: Duration = Duration::from_secs(1);
}

/// A received body, after decoding.
#[derive(Debug, Default)]
pub struct Body {
    /// Its bytes; empty if no sink needs bodies.
    pub data: Bytes,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, if a sink needs it.
    pub sha256: Option<[u8; 32]>,
    /// Whether `max_body` cut it.
    pub truncated: bool,
}

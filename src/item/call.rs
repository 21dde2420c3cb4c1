//! A call: one request with the limits of its response. The scheduler builds it, and `fetch` sends it.

use std::num::NonZeroU32;
use std::time::Duration;

use http::Method;

use super::{Extra, Request, ResponseLimits};
use crate::hosts::port_of;

/// A request that is ready to be sent, with the limits of its response.
#[derive(Debug)]
pub struct Call {
    /// The request of the line or of its last redirect, or one for a robots.txt.
    pub request: Request,
    /// The use of the response.
    pub purpose: Purpose,
    /// Whether the request may carry credentials.
    pub credential_scope: CredentialScope,
    /// Whether the line's host is that of the first line, which gets the credentials of `-H`.
    pub line_host: LineHost,
    /// The port of the line's own URL, because a `[hosts]` pattern may name a port.
    pub own_port: u16,
    /// The limits of the response.
    pub limits: ResponseLimits,
    /// The connection to use.
    pub connection: Connection,
}

impl Call {
    /// A call for the request of a line.
    pub fn new(request: Request) -> Self {
        Self {
            own_port: port_of(&request.url),
            request,
            purpose: Purpose::Line,
            credential_scope: CredentialScope::OwnHost,
            line_host: LineHost::First,
            limits: ResponseLimits::default(),
            connection: Connection::New,
        }
    }

    /// Whether it may be sent again after it may have reached the server: it has one of these methods, or a key by
    /// which the server detects the repetition.
    pub fn is_repeatable(&self, methods: &[Method]) -> bool {
        // draft-ietf-httpapi-idempotency-key-header
        let has_key = |extra: &Extra| extra.headers.contains_key("idempotency-key");
        let Request { method, extra, .. } = &self.request;
        methods.contains(method) || self.purpose == Purpose::RobotsTxt || extra.as_deref().is_some_and(has_key)
    }
}

/// The use of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The record of the line.
    Line,
    /// The rules of a site.
    RobotsTxt,
}

/// Whether a request may carry the line's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialScope {
    /// Yes: no redirect has left the host of the line's URL.
    OwnHost,
    /// No: a redirect has left that host, even if a later one led back.
    OtherHost,
}

/// Whether a line has the same host as the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineHost {
    /// The same host, or no header depends on it.
    First,
    /// Another host.
    Other,
}

/// The number of one content of a token file. Later contents have larger numbers, over all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenGeneration(NonZeroU32);

impl TokenGeneration {
    /// The number of the contents at the start.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The next number.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The content of a token file that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// Later requests carry it.
    Renewed(TokenGeneration),
    /// It is that of the current token.
    Same,
    /// It is no token, for the reason in this clause: "which is empty".
    Unusable(String),
}

/// How long the client keeps an idle connection; the schedule relies on it.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The connection that a request uses, and whether it is kept after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A pooled or new connection, which returns to the pool of this key.
    Keep(u64),
    /// A connection of the pool of this key if one is still open; closed afterwards.
    Last(u64),
    /// A new connection, closed afterwards.
    New,
}

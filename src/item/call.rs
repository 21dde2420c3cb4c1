//! A call: one request that is ready to be sent, and how its response is received. The scheduler makes it, `fetch` sends it.

use std::num::NonZeroU32;
use std::time::Duration;

use http::Method;

use super::{Extra, Request, ResponseLimits};
use crate::hosts::port_of;

/// A request that is ready to be sent.
#[derive(Debug)]
pub struct Call {
    /// The line's own request, that of its last redirect, or one for a robots.txt.
    pub request: Request,
    /// What the response is for.
    pub purpose: Purpose,
    /// Whether credentials may travel with it.
    pub credential_scope: CredentialScope,
    /// Whether the line's host is that of the first line, whose credentials `-H` has.
    pub line_host: LineHost,
    /// The port of the line's own URL: a `[hosts]` table that names a port has headers for that port.
    pub own_port: u16,
    /// What its response may take.
    pub limits: ResponseLimits,
    /// Which connection it takes.
    pub connection: Connection,
}

impl Call {
    /// A call for a line's own request.
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

    /// Whether it may be sent again after the server may have seen it: it has one of these methods, or a key by which the
    /// server tells that it is the same.
    pub fn is_repeatable(&self, methods: &[Method]) -> bool {
        // draft-ietf-httpapi-idempotency-key-header
        let has_key = |extra: &Extra| extra.headers.contains_key("idempotency-key");
        let Request { method, extra, .. } = &self.request;
        methods.contains(method) || self.purpose == Purpose::RobotsTxt || extra.as_deref().is_some_and(has_key)
    }
}

/// What a response is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The record of its line.
    Line,
    /// The rules of a site: it is a robots.txt.
    RobotsTxt,
}

/// Whether credentials may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialScope {
    /// At the host of the line's own URL.
    OwnHost,
    /// A redirect led elsewhere once; there is no way back.
    OtherHost,
}

/// The host of a line beside that of the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineHost {
    /// It is the same, or nothing depends on it.
    First,
    /// It is another one.
    Other,
}

/// One content of the files that a host's token stands in. A later content has a larger number, over all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenGeneration(NonZeroU32);

impl TokenGeneration {
    /// The content at the start.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// How long the client keeps an idle connection; the schedule counts on it.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Which connection a request takes, and what becomes of it after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Any: it may have been kept, and may stay open for reuse, in the pool of this key.
    Keep(u64),
    /// One that was kept in the pool of this key, if it is still open; it closes.
    Last(u64),
    /// A new one, which closes.
    New,
}

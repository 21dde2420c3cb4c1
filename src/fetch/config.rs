//! `[fetch]`, `[tls]`, `[dns]` and `[network]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::{Network, Secret, Size, Span, Speed};

/// `[fetch]`: how one request is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchConfig {
    /// Fetch tasks; by default as many as `limits.concurrency`.
    pub workers: Option<u32>,
    /// Threads that attempts are made in. With one, it is that of all the rest, which costs the least CPU per URL.
    pub threads: u32,
    /// One attempt until its response head: DNS, connect, TLS, request.
    pub timeout: Span,
    /// A body that is slower than this over `speed_time` fails.
    pub min_speed: Speed,
    /// The time over which the speed of a body is measured.
    pub speed_time: Span,
    /// DNS, TCP and TLS.
    pub connect_timeout: Span,
    /// One line, from its first request: attempts, waits between them, redirects.
    pub deadline: Span,
    /// The longest body, decoded.
    pub max_body: Size,
    /// What becomes of a longer one.
    pub oversize: Oversize,
    /// Redirects followed per line.
    pub max_redirects: u32,
    /// Connections kept open for reuse over all hosts; by default 4,096, or fewer where no more files can be open.
    pub idle_connections: Option<u32>,
    /// Whether lines that are fetchd records are fetched only if they changed.
    pub revalidate: bool,
    /// `user-agent`; `{version}` is replaced.
    pub user_agent: String,
    /// Headers sent everywhere.
    pub headers: BTreeMap<String, Secret<String>>,
    /// Whether HTTP/2 is offered to https servers.
    pub http2: bool,
    /// The proxy for all requests: `http://host:port` or `socks5://host:port`.
    pub proxy: Option<Secret<String>>,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            workers: None,
            threads: 1,
            timeout: Span::secs(30),
            min_speed: Speed(1 << 10),
            speed_time: Span::secs(30),
            connect_timeout: Span::secs(10),
            deadline: Span::secs(600),
            max_body: Size::mib(16),
            oversize: Oversize::Fail,
            max_redirects: 10,
            idle_connections: None,
            revalidate: false,
            user_agent: "fetchd/{version}".to_owned(),
            headers: BTreeMap::new(),
            http2: false,
            proxy: None,
        }
    }
}

/// What becomes of a body longer than `max_body`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Oversize {
    /// The line fails with `body_too_large`.
    #[default]
    Fail,
    /// The body is cut, and its record says so.
    Truncate,
}

/// `[tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Certificates of authorities, in PEM, that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// `[dns]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    /// Name servers; by default the system's.
    pub servers: Option<Vec<SocketAddr>>,
    /// One look-up; by default four fifths of `fetch.connect_timeout`.
    pub timeout: Option<Span>,
    /// The most names in the cache.
    pub cache: u32,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self { servers: None, timeout: None, cache: 10_000 }
    }
}

/// `[network]`: which addresses may be dialled besides the public ones, and which never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Networks allowed although they are not public.
    pub allow: Vec<Network>,
    /// Networks refused; this beats `allow`.
    pub deny: Vec<Network>,
}

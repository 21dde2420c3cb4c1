//! The configuration sections `[fetch]`, `[tls]`, `[dns]` and `[network]`.

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
    /// Threads for attempts. With one, the main thread makes them, which costs the least CPU per URL.
    pub threads: u32,
    /// The time limit of an attempt until its response head: DNS, connect, TLS, request.
    pub timeout: Span,
    /// A body that is slower than this over `speed_time` fails.
    pub min_speed: Speed,
    /// The time over which the speed of a body is measured.
    pub speed_time: Span,
    /// The time limit of DNS, TCP and TLS.
    pub connect_timeout: Span,
    /// The time limit of a line from its first request: attempts, waits between them, redirects.
    pub deadline: Span,
    /// The longest body, decoded.
    pub max_body: Size,
    /// Whether a longer body fails or is truncated.
    pub oversize: Oversize,
    /// Redirects followed per line.
    pub max_redirects: u32,
    /// Connections kept open for reuse over all hosts; by default 4,096, or fewer if the limit of open files is low.
    pub idle_connections: Option<u32>,
    /// Whether lines that are fetchd records are fetched only if they changed.
    pub revalidate: bool,
    /// The `user-agent` header; `{version}` is replaced.
    pub user_agent: String,
    /// Headers of all requests.
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

/// The treatment of a body longer than `max_body`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Oversize {
    /// The line fails with `body_too_large`.
    #[default]
    Fail,
    /// The body is cut, and its record is flagged.
    Truncate,
}

/// `[tls]`: authorities that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// A PEM file of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// `[dns]`: how host names are resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    /// Name servers; by default the system's.
    pub servers: Option<Vec<SocketAddr>>,
    /// The time limit of a look-up; by default four fifths of `fetch.connect_timeout`.
    pub timeout: Option<Span>,
    /// The most names in the cache.
    pub cache: u32,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self { servers: None, timeout: None, cache: 10_000 }
    }
}

/// `[network]`: addresses that are allowed besides the public ones, and those that are denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Networks allowed although they are not public.
    pub allow: Vec<Network>,
    /// Networks denied; overrides `allow`.
    pub deny: Vec<Network>,
}

//! What the schedule is told: `[limits]`, `[hosts]`, `[retry]`, and a few keys of `[fetch]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::HostLimits;
use crate::hosts::Patterns;
use crate::units::{Rate, Size, Span};

/// `[limits]`: what all hosts together may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Requests on the wire at once.
    pub concurrency: u32,
    /// Starts of requests.
    pub rate: Rate,
    /// Bytes of bodies held at once; by default 256 MiB, or more where concurrency and `max_body` need it.
    pub body_memory: Option<Size>,
    /// Hosts tracked at once; lines of further hosts wait.
    pub hosts: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { concurrency: 256, rate: Rate::Unlimited, body_memory: None, hosts: 100_000 }
    }
}

/// `[hosts."PATTERN"]`: what one host may be asked to bear. Keys left out fall back to the next pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Requests on the wire at once.
    pub concurrency: Option<u32>,
    /// Starts of requests.
    pub rate: Option<Rate>,
    /// Headers for this host alone.
    pub headers: BTreeMap<String, String>,
    /// Whether its certificate is not verified.
    pub insecure: Option<bool>,
    /// The certificate, in PEM, that is shown to this host alone.
    pub client_cert: Option<PathBuf>,
    /// The key of that certificate.
    pub client_key: Option<PathBuf>,
}

/// `[retry]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Attempts after the first.
    pub retries: u32,
    /// The first wait; it doubles, with jitter.
    pub backoff: Span,
    /// The longest wait.
    pub max_backoff: Span,
    /// The longest Retry-After that is waited for.
    pub max_retry_after: Span,
    /// Statuses that are tried again.
    pub on_status: Vec<u16>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            retries: 2,
            backoff: Span(Duration::from_millis(500)),
            max_backoff: Span::secs(60),
            max_retry_after: Span::secs(300),
            on_status: vec![408, 425, 429, 500, 502, 503, 504],
        }
    }
}

/// When and how often an attempt is repeated.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Charged retries per line.
    pub retries: u32,
    /// The first wait.
    pub backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// The longest Retry-After that is waited for.
    pub max_retry_after: Duration,
    /// Statuses that are tried again.
    pub on_status: Vec<u16>,
}

impl From<&RetryConfig> for RetryPolicy {
    fn from(config: &RetryConfig) -> Self {
        Self {
            retries: config.retries,
            backoff: config.backoff.0,
            max_backoff: config.max_backoff.0,
            max_retry_after: config.max_retry_after.0,
            on_status: config.on_status.clone(),
        }
    }
}

/// What one pattern says of its hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostRule {
    /// Requests on the wire at once.
    pub concurrency: Option<u32>,
    /// From one start to the next.
    pub every: Option<Duration>,
}

impl Settings {
    /// The limits of one host.
    pub fn limits_of(&self, name: &str, port: u16) -> HostLimits {
        let rules = || self.hosts.matching(name, port);
        HostLimits {
            concurrency: rules().find_map(|rule| rule.concurrency).unwrap_or(self.any_host.concurrency),
            every: rules().find_map(|rule| rule.every).unwrap_or(self.any_host.every),
        }
    }
}

/// Everything the core is told, checked and complete.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From one start to the next over all hosts; zero for no limit.
    pub every: Duration,
    /// Limits by pattern; what one leaves out falls back to the next, key by key.
    pub hosts: Patterns<HostRule>,
    /// What no pattern says.
    pub any_host: HostLimits,
    /// Hosts tracked at once.
    pub max_hosts: usize,
    /// Retries.
    pub retry: RetryPolicy,
    /// One attempt.
    pub timeout: Duration,
    /// One line, from its first request on.
    pub deadline: Duration,
    /// Redirects per line.
    pub max_redirects: u32,
    /// Connections kept open for reuse.
    pub idle_connections: usize,
    /// The most body memory an answer can need: `max_body`, or nothing when no sink wants bodies.
    pub largest_body: u64,
    /// For the jitter.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            every: Duration::ZERO,
            hosts: Patterns::default(),
            any_host: HostLimits { concurrency: 8, every: Duration::ZERO },
            max_hosts: 100_000,
            retry: RetryPolicy::from(&RetryConfig::default()),
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(600),
            max_redirects: 10,
            idle_connections: 256,
            largest_body: 16 << 20,
            seed: 0,
        }
    }
}

//! `[limits]`, `[hosts]`, and the settings of the schedule.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::token::HostToken;
use super::token_rules::{TokenPolicy, TokenSettings};
use super::{
    HealthConfig, HealthPolicy, LongPause, QuotaPolicy, RetryBudgetPolicy, RetryConfig, RetryPolicy, RobotsPolicy,
};
use crate::hosts::{Patterns, host_name, port_of};
use crate::item::{Request, ResponseLimits, ResponseRules, SetBy};
use crate::units::{Concurrency, Rate, Secret, Size, Span, Speed};

/// `[limits]`: the limits over all hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Requests on the wire at once.
    pub concurrency: Concurrency,
    /// The most of them, if that is `adaptive`.
    pub max_concurrency: u32,
    /// The rate of request starts.
    pub rate: Rate,
    /// Bytes of bodies held at once; by default 256 MiB, or more where concurrency and `max_body` need it.
    pub body_memory: Option<Size>,
    /// Hosts tracked at once; lines of further hosts wait.
    pub hosts: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::Fixed(256),
            max_concurrency: 256,
            rate: Rate::Unlimited,
            body_memory: None,
            hosts: 100_000,
        }
    }
}

impl LimitsConfig {
    /// The most requests that can be on the wire at once.
    pub fn permits(&self) -> u32 {
        match self.concurrency {
            Concurrency::Fixed(n) => n,
            Concurrency::Adaptive => self.max_concurrency,
        }
    }
}

/// `[hosts."PATTERN"]`: limits and settings of hosts. Keys left out fall back to the next pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Requests on the wire at once.
    pub concurrency: Option<Concurrency>,
    /// The most of them, if that is `adaptive`.
    pub max_concurrency: Option<u32>,
    /// The rate of request starts.
    pub rate: Option<Rate>,
    /// Whether quotas in its responses are obeyed before it refuses a request.
    pub quota: Option<QuotaPolicy>,
    /// Statuses that mean that the token from a file must be replaced.
    pub refresh_on: Option<Vec<u16>>,
    /// As `fetch.timeout`.
    pub timeout: Option<Span>,
    /// As `fetch.min_speed`.
    pub min_speed: Option<Speed>,
    /// As `fetch.max_body`.
    pub max_body: Option<Size>,
    /// Headers for this host alone.
    pub headers: BTreeMap<String, Secret<String>>,
    /// Whether every host may get credentials in these headers; for the pattern `*` alone.
    pub everywhere: bool,
    /// Whether its certificate is not verified.
    pub insecure: Option<bool>,
    /// The client certificate, in PEM, for this host alone.
    pub client_cert: Option<PathBuf>,
    /// The key of that certificate.
    pub client_key: Option<Secret<PathBuf>>,
}

/// The limits of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Requests on the wire at once.
    pub concurrency: Concurrency,
    /// The most of them, if they are adaptive.
    pub max_concurrency: u32,
    /// From one start to the next; zero for no limit.
    pub every: Duration,
    /// Whether its quotas are obeyed.
    pub quota: QuotaPolicy,
    /// Whether the run waits for the host while it is closed.
    pub long_pause: LongPause,
}

/// The limits of one pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostRule {
    /// Requests on the wire at once.
    pub concurrency: Option<Concurrency>,
    /// The most of them, if they are adaptive.
    pub max_concurrency: Option<u32>,
    /// From one start to the next.
    pub every: Option<Duration>,
    /// Whether its quotas are obeyed.
    pub quota: Option<QuotaPolicy>,
}

impl Settings {
    /// The limits of one host.
    pub fn limits_of(&self, name: &str, port: u16) -> HostLimits {
        let rules = || self.hosts.matching(name, port);
        let quota = rules().find_map(|rule| rule.quota);
        HostLimits {
            concurrency: rules().find_map(|rule| rule.concurrency).unwrap_or(self.any_host.concurrency),
            max_concurrency: rules().find_map(|rule| rule.max_concurrency).unwrap_or(self.any_host.max_concurrency),
            every: rules().find_map(|rule| rule.every).unwrap_or(self.any_host.every),
            quota: quota.unwrap_or(self.any_host.quota),
            long_pause: match quota {
                Some(QuotaPolicy::Obey) => LongPause::End,
                Some(QuotaPolicy::Wait) => LongPause::Wait,
                Some(QuotaPolicy::Ignore) | None => self.any_host.long_pause,
            },
        }
    }

    /// The token of one host.
    pub(super) fn token_of(&self, name: &str, port: u16) -> Option<Box<HostToken>> {
        let policy = TokenPolicy::of(self.tokens.rules.matching(name, port), self.retry.refresh_wait)?;
        Some(Box::new(HostToken::new(policy)))
    }

    /// The limits of the response to this request: the line's own rules override those of its host.
    pub fn response_limits(&self, request: &Request, time_left: Duration) -> ResponseLimits {
        let own = request.extra.as_ref().map(|extra| extra.response).unwrap_or_default();
        let rules = match self.responses.is_empty() {
            true => own,
            false => {
                let (name, port) = (host_name(&request.url), port_of(&request.url));
                self.responses.matching(name, port).copied().fold(own, ResponseRules::or)
            }
        };
        let &Self { timeout, min_speed, max_body, .. } = self;
        ResponseLimits { timeout, time_left, min_speed, max_body, set_by: SetBy::default() }.with(own, rules)
    }
}

/// The core's settings, checked and complete.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From one start to the next over all hosts; zero for no limit.
    pub every: Duration,
    /// Limits by pattern; what one leaves out falls back to the next, key by key.
    pub hosts: Patterns<HostRule>,
    /// Limits of responses, by pattern.
    pub responses: Patterns<ResponseRules>,
    /// Tokens from files.
    pub tokens: TokenSettings,
    /// The limits without a pattern.
    pub any_host: HostLimits,
    /// The most requests at once, if they are adaptive.
    pub adaptive: Option<u32>,
    /// Requests at once that the caller has permits for.
    pub permits: u32,
    /// Workers, which bound the requests at once.
    pub workers: u32,
    /// The last line of the input, if it is known from the start.
    pub last_line: Option<Url>,
    /// Hosts tracked at once.
    pub max_hosts: usize,
    /// Retries.
    pub retry: RetryPolicy,
    /// Retries over all hosts.
    pub budget: RetryBudgetPolicy,
    /// Retries of one host.
    pub host_budget: RetryBudgetPolicy,
    /// Circuit breakers.
    pub health: HealthPolicy,
    /// How robots.txt is obeyed, if it is.
    pub robots: Option<RobotsPolicy>,
    /// The timeout of one attempt until its response head.
    pub timeout: Duration,
    /// The least bytes per second of a body; 0 for no limit.
    pub min_speed: u32,
    /// The longest body, decoded.
    pub max_body: u64,
    /// The part of the timeout for DNS, TCP and TLS.
    pub connect_timeout: Duration,
    /// The time for one line, from its first request on.
    pub deadline: Duration,
    /// Redirects per line.
    pub max_redirects: u32,
    /// Connections kept open for reuse.
    pub idle_connections: usize,
    /// The most body memory that one response can hold: no more than a chunk when no sink wants bodies.
    pub largest_body: u64,
    /// Per source: whether it is durable, so that the next start yields its unfinished lines again.
    pub durable: Vec<bool>,
    /// Whether records have the order of the input, so that no line can be left out before the end of the run.
    pub in_order: bool,
    /// The seed of the jitter.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            every: Duration::ZERO,
            hosts: Patterns::default(),
            responses: Patterns::default(),
            tokens: TokenSettings::default(),
            any_host: HostLimits {
                concurrency: Concurrency::Fixed(8),
                max_concurrency: 64,
                every: Duration::ZERO,
                quota: QuotaPolicy::Obey,
                long_pause: LongPause::Wait,
            },
            adaptive: None,
            permits: 256,
            workers: 256,
            last_line: None,
            max_hosts: 100_000,
            retry: RetryPolicy::from(&RetryConfig::default()),
            budget: RetryConfig::default().budget(),
            host_budget: RetryConfig::default().host_budget(),
            health: HealthPolicy::from(&HealthConfig::default()),
            robots: None,
            timeout: Duration::from_secs(30),
            min_speed: 1 << 10,
            max_body: 16 << 20,
            connect_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(600),
            max_redirects: 10,
            idle_connections: 256,
            largest_body: 16 << 20,
            durable: Vec::new(),
            in_order: false,
            seed: 0,
        }
    }
}

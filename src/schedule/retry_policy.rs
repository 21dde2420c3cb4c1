//! `[retry]`, and the policy made from it: when an attempt is repeated, how often, and after which back-off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RetryBudgetPolicy;
use crate::item::parse_method;
use crate::units::{Rate, Share, Span};

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
    /// The longest Retry-After that lines wait for.
    pub max_retry_after: Span,
    /// Times that one line waits because of a Retry-After.
    pub max_waits: u32,
    /// How long a host waits for a new token.
    pub refresh_wait: Span,
    /// Statuses that are retried.
    pub on_status: Vec<u16>,
    /// Methods that may be sent again after the server may have seen them; by default the idempotent ones (RFC 9110, 9.2.2).
    pub methods: Vec<String>,
    /// The most retries, as a share of other requests: per host, and over all.
    pub budget: Share,
    /// Retries over all hosts that are always allowed.
    pub floor: Rate,
    /// Retries of one host that are always allowed.
    pub host_floor: Rate,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            retries: 2,
            backoff: Span(Duration::from_millis(500)),
            max_backoff: Span::secs(60),
            max_retry_after: Span::secs(300),
            max_waits: 10,
            refresh_wait: Span::secs(600),
            on_status: vec![408, 425, 429, 500, 502, 503, 504],
            methods: ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"].map(str::to_owned).to_vec(),
            budget: Share::Percent(10),
            floor: Rate::per_second(100),
            host_floor: Rate::per_second(10),
        }
    }
}

impl RetryConfig {
    /// The retry budget over all hosts.
    pub fn budget(&self) -> RetryBudgetPolicy {
        self.policy(self.floor)
    }

    /// The retry budget of one host.
    pub fn host_budget(&self) -> RetryBudgetPolicy {
        self.policy(self.host_floor)
    }

    fn policy(&self, floor: Rate) -> RetryBudgetPolicy {
        let percent = if let Share::Percent(percent) = self.budget { Some(percent) } else { None };
        RetryBudgetPolicy::new(percent, floor.every())
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
    /// The longest Retry-After that lines wait for.
    pub max_retry_after: Duration,
    /// Waits per line that are not charged.
    pub max_waits: u32,
    /// How long a host waits for a new token.
    pub refresh_wait: Duration,
    /// Statuses that are retried.
    pub on_status: Vec<u16>,
    /// Methods that may be sent again after the server may have seen them.
    pub methods: Vec<http::Method>,
}

impl RetryPolicy {
    /// Exponential back-off with equal jitter: the `nth` wait in a row doubles up to the maximum, and is shortened by up to
    /// half at random. `chance` is in 0..1.
    pub fn backoff(&self, nth: u32, chance: f64) -> Duration {
        let full = self.backoff.saturating_mul(1 << nth.saturating_sub(1).min(20)).min(self.max_backoff);
        full.mul_f64(0.5 + chance / 2.0)
    }
}

impl From<&RetryConfig> for RetryPolicy {
    fn from(config: &RetryConfig) -> Self {
        Self {
            retries: config.retries,
            backoff: config.backoff.0,
            max_backoff: config.max_backoff.0,
            max_retry_after: config.max_retry_after.0,
            max_waits: config.max_waits,
            refresh_wait: config.refresh_wait.0,
            on_status: config.on_status.clone(),
            methods: config.methods.iter().filter_map(|name| parse_method(name).ok()).collect(),
        }
    }
}

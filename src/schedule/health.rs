//! `[health]`: the configuration and policy of circuit breakers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// `[health]`: circuit breakers for hosts that cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Whether lines of an unreachable host wait; otherwise each makes all its attempts.
    pub enabled: bool,
    /// Failures in a row that open the circuit.
    pub failures: u32,
    /// The time between two probes.
    pub cool_down: Span,
    /// How long its lines wait without any success before they fail.
    pub give_up: Span,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { enabled: true, failures: 5, cool_down: Span::secs(5), give_up: Span::secs(60) }
    }
}

/// When a circuit opens, and what happens then.
#[derive(Clone, Copy, Debug)]
pub struct HealthPolicy {
    /// Failures in a row that open it; zero for never.
    pub failures: u32,
    /// The time between two probes.
    pub cool_down: Duration,
    /// How long lines wait before they fail.
    pub give_up: Duration,
}

impl From<&HealthConfig> for HealthPolicy {
    fn from(config: &HealthConfig) -> Self {
        let failures = if config.enabled { config.failures } else { 0 };
        Self { failures, cool_down: config.cool_down.0, give_up: config.give_up.0 }
    }
}

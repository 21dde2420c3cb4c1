//! The configuration tables `[queue]`, `[output]` and `[shutdown]`.

use serde::{Deserialize, Serialize};

use super::Order;
use crate::sink::BodyFormat;
use crate::units::{Size, Span};

/// `[queue]`: limits of accepted lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Accepted lines that the scheduler has not received.
    pub capacity: u32,
    /// Lines accepted and not yet settled.
    pub window: u32,
    /// Bytes of those lines.
    pub window_bytes: Size,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { capacity: 1024, window: 16_384, window_bytes: Size::mib(64) }
    }
}

/// `[output]`: settings of all sinks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// The order of records.
    pub order: Order,
    /// How bodies are shown; a sink may override it.
    pub body: BodyFormat,
    /// Whether records have the response's headers.
    pub headers: bool,
    /// Whether records have the body's SHA-256.
    pub digest: bool,
    /// Whether a record other than `ok` makes the exit code 3.
    pub fail: bool,
    /// Whether the first record other than `ok` ends the run.
    pub fail_fast: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            order: Order::Completion,
            body: BodyFormat::Auto,
            headers: false,
            digest: false,
            fail: false,
            fail_fast: false,
        }
    }
}

/// `[shutdown]`: the grace period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long requests, and lines of sources that are not durable, may take after the first signal.
    pub grace: Span,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace: Span::secs(30) }
    }
}

//! The settings of a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::FirstHost;
use crate::item::Revalidation;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Accepted lines that the scheduler has not received.
    pub queue: usize,
    /// Lines accepted and not yet done.
    pub window: usize,
    /// Bytes of those lines.
    pub window_bytes: usize,
    /// Fetch tasks; fewer than `concurrency` limit it.
    pub workers: usize,
    /// Requests on the wire at once.
    pub concurrency: usize,
    /// Bytes of bodies held at once.
    pub body_memory: u64,
    /// The longest body, after decoding, that a line can ask for.
    pub largest_body: u64,
    /// Whether lines that are records are fetched only if they changed.
    pub revalidation: Revalidation,
    /// The host whose lines carry the credentials of `-H`.
    pub first_host: FirstHost,
    /// The order of records.
    pub order: Order,
    /// Whether the first record that is not `ok` ends the run.
    pub fail_fast: FailFast,
    /// How long requests, and lines of sources that are not durable, may take after the first signal.
    pub grace: Duration,
    /// The schedule's own settings.
    pub schedule: crate::schedule::Settings,
}

/// The order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As lines are settled.
    Completion,
    /// As lines were accepted, over all sources.
    Input,
}

/// Whether the first record that is not `ok` ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailFast {
    /// The run ends.
    Yes,
    /// The run goes on.
    No,
}

//! The API's view of a run.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::late_desk::LateDesk;
use super::live::LiveRecords;
use super::moment::in_millis;
use super::operator::Operator;
use super::requests::ApiRequests;
use crate::pipeline::Status;
use crate::telemetry::Stats;
use crate::telemetry::metrics::{DiskPlace, Reloads};

/// The parts of a run that the API shows and changes.
#[derive(Clone)]
pub struct ApiParts {
    /// The status that the stages publish.
    pub status: Status,
    /// Counts of records by outcome and error kind.
    pub stats: Stats,
    /// Takes questions to the schedule.
    pub desk: LateDesk,
    /// The live records; their sink is one of the run's sinks.
    pub live: LiveRecords,
    /// The disks whose free space `/metrics` shows.
    pub disks: Arc<[DiskPlace]>,
    /// The configuration in force; a reload sends the next one.
    pub config: watch::Receiver<Arc<ConfigInForce>>,
    /// Carries out verbs.
    pub operator: Arc<dyn Operator>,
    /// Counts requests to the API, for metrics.
    pub requests: ApiRequests,
}

/// The configuration in force.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigInForce {
    /// The SHA-256 of `values` as JSON, in hexadecimal digits.
    pub digest: String,
    /// The file that it was read from.
    pub file: Option<String>,
    /// When it was loaded.
    #[serde(serialize_with = "in_millis")]
    pub loaded: Timestamp,
    /// The last reload, if there was one.
    pub last_reload: Option<LastReload>,
    /// The counts of reloads.
    #[serde(skip)]
    pub reloads: Reloads,
    /// All keys, with secrets as `***`.
    pub values: Value,
}

/// How a reload ended.
#[derive(Clone, Debug, Serialize)]
pub struct LastReload {
    /// When it ended.
    #[serde(serialize_with = "in_millis")]
    pub at: Timestamp,
    /// Whether it took effect.
    pub result: ReloadResult,
    /// The result as a sentence.
    pub message: String,
}

/// Whether a reload took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The new configuration is in force.
    Applied,
    /// The old configuration is still in force.
    Refused,
}

//! What the API is given to show and to change.

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

/// See the module.
#[derive(Clone)]
pub struct ApiParts {
    /// What the stages publish.
    pub status: Status,
    /// Records by how they ended.
    pub stats: Stats,
    /// Where the schedule is asked.
    pub desk: LateDesk,
    /// Records as they come; its sink stands among the sinks of the run.
    pub live: LiveRecords,
    /// The disks whose room `/metrics` shows.
    pub disks: Arc<[DiskPlace]>,
    /// The configuration that is in force; a reload sends the next one.
    pub config: watch::Receiver<Arc<ConfigInForce>>,
    /// Carries out verbs.
    pub operator: Arc<dyn Operator>,
    /// Requests to the API are counted here, for metrics.
    pub requests: ApiRequests,
}

/// The configuration that is in force.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigInForce {
    /// The SHA-256 of `values` as JSON, in hexadecimal digits.
    pub digest: String,
    /// The file that it was read from.
    pub file: Option<String>,
    /// When.
    #[serde(serialize_with = "in_millis")]
    pub loaded: Timestamp,
    /// The last reload, if there was one.
    pub last_reload: Option<LastReload>,
    /// Reloads so far.
    #[serde(skip)]
    pub reloads: Reloads,
    /// All keys, with secrets as `***`.
    pub values: Value,
}

/// How a reload ended.
#[derive(Clone, Debug, Serialize)]
pub struct LastReload {
    /// When.
    #[serde(serialize_with = "in_millis")]
    pub at: Timestamp,
    /// Whether it took effect.
    pub result: ReloadResult,
    /// A whole sentence.
    pub message: String,
}

/// Whether a reload took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The new configuration holds.
    Applied,
    /// The old one still does.
    Refused,
}

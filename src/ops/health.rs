//! `/healthz` and `/readyz`: whether the run turns, and whether it does its work.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::answer::{json, json_with};
use super::moment::{Since, seconds};
use crate::disk::waiting_for_room;
use crate::pipeline::{HealthWatch, RunState, Status, StuckTask};

/// The last look at the heartbeats of the run.
#[derive(Debug)]
pub(super) struct Health {
    watch: Mutex<HealthWatch>,
    stuck: Mutex<Option<StuckTask>>,
}

/// What `/healthz` says.
#[derive(Serialize)]
struct Healthy {
    healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<Stuck>,
}

#[derive(Serialize)]
struct Stuck {
    stage: &'static str,
    at_least_s: f64,
    message: String,
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    pub ready: bool,
    /// Why it is not.
    pub reasons: Vec<Reason>,
}

/// Why a run does not do its work.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub reason: &'static str,
    #[serde(flatten)]
    pub since: Since,
    /// The path on the full disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The sink that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// The source whose journal is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A whole sentence.
    pub message: String,
}

impl Reason {
    pub fn new(reason: &'static str, since: Since, message: impl Into<String>) -> Self {
        Self { reason, since, path: None, sink: None, source: None, message: message.into() }
    }
}

impl Health {
    pub fn of(status: &Status) -> Self {
        Self { watch: Mutex::new(HealthWatch::new(status.heartbeats().clone())), stuck: Mutex::new(None) }
    }

    /// Looks at the heartbeats; to be called every [`HealthWatch::LOOK_EVERY`].
    pub fn look(&self) {
        let stuck = self.watch.lock().unwrap_or_else(PoisonError::into_inner).look();
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
    }

    /// The stage that does not turn, as of the last look.
    pub fn stuck(&self) -> Option<StuckTask> {
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of `/healthz`.
    pub fn answer(&self) -> Response {
        let stuck = self.stuck().map(|StuckTask { name, at_least }| Stuck {
            stage: name,
            at_least_s: seconds(at_least),
            message: stuck_sentence(name, at_least),
        });
        let status = if stuck.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json_with(status, &Healthy { healthy: stuck.is_none(), stuck })
    }
}

/// What there is to say of a stage that does not turn.
pub(super) fn stuck_sentence(stage: &str, at_least: Duration) -> String {
    format!("The stage `{stage}` has not turned for at least {} s; restart fetchd if that lasts.", at_least.as_secs())
}

impl Readiness {
    /// Of a run.
    pub fn of(status: &Status) -> Self {
        let lifecycle = status.lifecycle();
        let since = Since::ago(lifecycle.since());
        let state = match lifecycle.state() {
            RunState::Starting => {
                Some(Reason::new("starting", since, "The run opens its files and reads back what earlier runs left."))
            }
            RunState::Running => None,
            RunState::Draining { .. } => {
                Some(Reason::new("draining", since, "The run was told to stop, and finishes what it has accepted."))
            }
            RunState::Ended => Some(Reason::new("draining", since, "The run has ended.")),
        };
        let mut reasons: Vec<_> = state.into_iter().collect();
        reasons.extend(waiting_for_room().into_iter().map(|(path, since)| {
            let message = format!("There is no room for {}; make some on its disk.", path.display());
            let path = Some(path.display().to_string());
            Reason { path, ..Reason::new("disk_full", Since::at(since), message) }
        }));
        Self { ready: reasons.is_empty(), reasons }
    }

    /// The answer of `/readyz`.
    pub fn answer(&self) -> Response {
        if self.ready { json(self) } else { json_with(StatusCode::SERVICE_UNAVAILABLE, self) }
    }
}

//! `GET /v1/events`, and the events that the API finds by comparing the run from one second to the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use http::Uri;
use serde::Serialize;

use super::answer::{Answer, json};
use super::fields::Fields;
use super::health::stuck_sentence;
use super::moment::{At, timestamp};
use super::state::ApiState;
use crate::pipeline::{Event, EventKind, RunState, StuckTask};

#[derive(Serialize)]
struct Listed {
    events: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    at: At,
    at_s: f64,
    kind: &'static str,
    message: String,
}

impl Shown {
    fn of(event: Event) -> Self {
        let ago = event.at.elapsed().unwrap_or_default();
        Self {
            at: timestamp(event.at),
            at_s: -super::moment::seconds(ago),
            kind: event.kind.name(),
            message: event.text,
        }
    }
}

pub(super) async fn events(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    Fields::of_query(uri.query())?.end()?;
    let events = api.parts.status.events().all().into_iter().map(Shown::of).collect();
    Ok(json(&Listed { events }))
}

/// The state at the last look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    state: Option<&'static str>,
    stuck: Option<&'static str>,
    /// Sinks, sources and paths that block the run.
    blocked: BTreeSet<String>,
}

impl Changes {
    /// Adds an event for each change since the last look.
    pub fn look(&mut self, api: &ApiState) {
        let (status, events) = (&api.parts.status, api.parts.status.events());
        let state = match status.lifecycle().state() {
            RunState::Starting => "The run is starting.",
            RunState::Running => "The run takes lines.",
            RunState::Draining { .. } => "The run was told to stop, and finishes its accepted lines.",
            RunState::Ended => "The run has ended.",
        };
        if self.state.replace(state) != Some(state) {
            events.note(EventKind::State, state);
        }
        let stuck = api.health.stuck();
        let before = std::mem::replace(&mut self.stuck, stuck.map(|stuck| stuck.name));
        match (before, stuck) {
            (before, Some(StuckTask { name, at_least })) if before != Some(name) => {
                events.note(EventKind::Blocked, stuck_sentence(name, at_least));
            }
            (Some(name), None) => events.note(EventKind::Recovered, format!("The stage `{name}` turns again.")),
            _ => {}
        }
        self.look_at_places(api);
    }

    fn look_at_places(&mut self, api: &ApiState) {
        let (events, readiness) = (api.parts.status.events(), api.health.readiness(&api.parts.status));
        let mut blocked = BTreeSet::new();
        for reason in readiness.reasons {
            let kind = if reason.reason == "disk_full" { EventKind::Disk } else { EventKind::Blocked };
            let Some(place) = reason.path.or(reason.sink).or(reason.source) else { continue };
            if !self.blocked.contains(&place) {
                events.note(kind, reason.message);
            }
            blocked.insert(place);
        }
        for place in self.blocked.difference(&blocked) {
            events.note(EventKind::Recovered, format!("`{place}` no longer blocks the run."));
        }
        self.blocked = blocked;
    }
}

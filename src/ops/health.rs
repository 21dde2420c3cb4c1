//! `/healthz` and `/readyz`: whether all stages turn, and whether the run takes and finishes lines.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use super::answer::{json, json_with};
use super::moment::{Since, seconds};
use crate::disk::{READ_BACK, ReadBackBytes, waiting_for_room};
use crate::pipeline::{HealthWatch, RunState, Status, StuckTask, View};
use crate::schedule::BottleneckKind;
use crate::units::grouped;

/// The last look at the heartbeats of the run.
#[derive(Debug)]
pub(super) struct Health {
    watch: Mutex<HealthWatch>,
    stuck: Mutex<Option<StuckTask>>,
    /// When each of some reasons was first seen.
    seen: Mutex<BTreeMap<&'static str, Instant>>,
}

/// The response of `/healthz`.
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

/// The response of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    pub ready: bool,
    /// Why the run is not ready.
    pub reasons: Vec<Reason>,
}

/// A reason why a run is not ready.
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
    /// Bytes of state read back from earlier runs, while the run is starting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<u64>,
    /// Bytes to read back, as far as they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    /// A whole sentence.
    pub message: String,
}

impl Reason {
    pub fn new(reason: &'static str, since: Since, message: impl Into<String>) -> Self {
        let (path, sink, source) = (None, None, None);
        Self { reason, since, path, sink, source, bytes_read: None, bytes_total: None, message: message.into() }
    }
}

impl Health {
    pub fn of(status: &Status) -> Self {
        Self {
            watch: Mutex::new(HealthWatch::new(status.heartbeats().clone())),
            stuck: Mutex::new(None),
            seen: Mutex::default(),
        }
    }

    /// Looks at the heartbeats; called every [`HealthWatch::LOOK_EVERY`].
    pub fn look(&self) {
        let stuck = self.watch.lock().unwrap_or_else(PoisonError::into_inner).look();
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
    }

    /// The stage that does not turn, as of the last look.
    pub fn stuck(&self) -> Option<StuckTask> {
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response of `/healthz`.
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

/// The sentence about a stage that does not turn.
pub(super) fn stuck_sentence(stage: &str, at_least: Duration) -> String {
    format!("The stage `{stage}` has not turned for at least {} s; restart fetchd if this lasts.", at_least.as_secs())
}

/// A sink that blocks for less time is normal.
const BLOCKED: Duration = Duration::from_secs(30);

impl Health {
    /// Whether a run takes and finishes lines.
    pub fn readiness(&self, status: &Status) -> Readiness {
        let mut reasons: Vec<_> = of_state(status).into_iter().collect();
        reasons.extend(self.of_operators(&status.view()));
        reasons.extend(self.of_token(&status.view()));
        reasons.extend(full_disks());
        reasons.extend(blocked_sinks(status));
        reasons.extend(full_journals(status));
        Readiness { ready: reasons.is_empty(), reasons }
    }

    /// Pauses by operators that keep all lines waiting.
    fn of_operators(&self, view: &View) -> Vec<Reason> {
        let paused = view.overrides.all.pause.is_some();
        let paused = self.since("paused", paused).map(|since| {
            Reason::new("paused", since, "An operator has paused the run; `fetchd ctl resume` ends the pause.")
        });
        let goes_on = |paused: usize| view.counts.waiting > paused || view.counts.in_flight > 0;
        let full = view.paused.as_ref().filter(|paused| view.is_window_full() && !goes_on(paused.all));
        let since = self.since("paused_host_blocks", full.is_some());
        let blocks = full.zip(since).map(|(paused, since)| {
            let (held, window) = (grouped(paused.all as u64), grouped(view.window as u64));
            let message = format!(
                "Lines of hosts that an operator has paused fill {held} of {window} places of the window, so fetchd accepts no lines; \
                 `fetchd ctl status` names the hosts."
            );
            Reason::new("paused_host_blocks", since, message)
        });
        paused.into_iter().chain(blocks).collect()
    }

    /// A host without a valid token, whose lines have filled the window for a while.
    fn of_token(&self, view: &View) -> Option<Reason> {
        let waits =
            view.bottleneck.as_ref().filter(|limit| limit.kind == BottleneckKind::Token && view.is_window_full());
        let since = self.held_for("token_missing", waits.is_some()).filter(|time| *time >= BLOCKED)?;
        let waits = waits?;
        let (host, files) = (waits.host.as_deref().unwrap_or_default(), waits.files.as_deref().unwrap_or_default());
        let message = format!(
            "{host} refuses its token, and the window is full; write a new token to {files}, or skip its lines."
        );
        Some(Reason::new("token_missing", Since::ago(since), message))
    }

    /// When a condition was first seen; `None` if it does not hold.
    fn since(&self, what: &'static str, holds: bool) -> Option<Since> {
        self.held_for(what, holds).map(Since::ago)
    }

    /// For how long a condition has been seen; `None` if it does not hold.
    fn held_for(&self, what: &'static str, holds: bool) -> Option<Duration> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !holds {
            seen.remove(what);
            return None;
        }
        Some(seen.entry(what).or_insert_with(Instant::now).elapsed())
    }
}

fn of_state(status: &Status) -> Option<Reason> {
    let since = Since::ago(status.lifecycle().since());
    let (reason, message) = match status.lifecycle().state() {
        RunState::Running => return None,
        RunState::Starting => return Some(starting(since, READ_BACK.bytes())),
        RunState::Draining { .. } => ("draining", "The run was told to stop, and finishes its accepted lines."),
        RunState::Ended => ("draining", "The run has ended."),
    };
    Some(Reason::new(reason, since, message))
}

fn starting(since: Since, ReadBackBytes { read, total }: ReadBackBytes) -> Reason {
    let (shown, of) = (grouped(read), grouped(total));
    let message =
        format!("The run opens its files and reads back the state of earlier runs, {shown} of {of} bytes so far.");
    Reason { bytes_read: Some(read), bytes_total: Some(total), ..Reason::new("starting", since, message) }
}

fn full_disks() -> impl Iterator<Item = Reason> {
    waiting_for_room().into_iter().map(|(path, since)| {
        let message = format!("The disk of {} is full; make room on it.", path.display());
        let path = Some(path.display().to_string());
        Reason { path, ..Reason::new("disk_full", Since::at(since), message) }
    })
}

fn blocked_sinks(status: &Status) -> impl Iterator<Item = Reason> {
    let blocked = status.sinks().into_iter().filter_map(|sink| Some((sink.name, sink.blocked_for?)));
    blocked.filter(|(_, time)| *time > BLOCKED).map(|(sink, time)| {
        let message = format!("The sink `{sink}` takes no records; check the program or disk behind it.");
        Reason { sink: Some(sink.to_string()), ..Reason::new("sink_blocked", Since::ago(time), message) }
    })
}

fn full_journals(status: &Status) -> impl Iterator<Item = Reason> {
    let full = status.sources().into_iter().filter_map(|source| Some((source.name, source.journal?.full_for?)));
    full.map(|(source, time)| {
        let message = format!(
            "The journal of `{source}` is full, so the source takes no lines; raise max_journal, or make room on its disk."
        );
        Reason { source: Some(source.to_string()), ..Reason::new("journal_full", Since::ago(time), message) }
    })
}

impl Readiness {
    /// The response of `/readyz`.
    pub fn answer(&self) -> Response {
        if self.ready { json(self) } else { json_with(StatusCode::SERVICE_UNAVAILABLE, self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Bottleneck, Counts, HeldLines};

    /// The reasons of a run with a full window and this view, at once and 31 s later.
    async fn reasons(view: View) -> [Vec<&'static str>; 2] {
        let status = Status::default();
        status.publish(View { window: 4, in_window: 4, ..view });
        let health = Health::of(&status);
        let reasons = || {
            let own = |reason: &Reason| reason.reason != "starting";
            health.readiness(&status).reasons.into_iter().filter(own).map(|reason| reason.reason).collect()
        };
        let at_once = reasons();
        tokio::time::advance(Duration::from_secs(31)).await;
        [at_once, reasons()]
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_window_of_a_host_without_a_token_is_a_reason_after_a_while() {
        let bottleneck = |kind: BottleneckKind| Some(Bottleneck { host: Some("a.test".into()), ..kind.into() });
        let waits = View { bottleneck: bottleneck(BottleneckKind::Token), ..View::default() };
        assert_eq!(reasons(waits).await, [vec![], vec!["token_missing"]]);
        let slow = View { bottleneck: bottleneck(BottleneckKind::HostRate), ..View::default() };
        assert_eq!(reasons(slow).await, [const { Vec::<&str>::new() }; 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn paused_lines_block_a_run_only_if_no_other_line_goes_on() {
        let view = |waiting, in_flight| View {
            counts: Counts { waiting, in_flight, ..Counts::default() },
            paused: Some(HeldLines { host: "a.test".into(), lines: 3, hosts: 1, all: 3 }),
            ..View::default()
        };
        assert_eq!(reasons(view(3, 0)).await[0], ["paused_host_blocks"]);
        assert_eq!(reasons(view(4, 0)).await[0], [""; 0]);
        assert_eq!(reasons(view(3, 1)).await[0], [""; 0]);
    }
}

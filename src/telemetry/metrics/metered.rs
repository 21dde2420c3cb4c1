//! The snapshot of a run that metrics are made of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::process::Process;
use crate::disk::{Disk, RealDisk};
use crate::fetch::LookUpResult;
use crate::item::{Durations, ErrorKind, Outcome, REQUEST_TIMES};
use crate::pipeline::{MemoryUse, RequestClass, RunState, Status};
use crate::schedule::{BottleneckKind, HostOverrides, HostStatus, Overrides, RetryDenial};
use crate::sink::SinkView;
use crate::source::SourceView;
use crate::telemetry::Stats;
use crate::telemetry::stderr::dropped_messages;

/// The values of all metrics. The caller of [`Metered::of`] fills in the values that a status does not contain.
#[derive(Clone, Debug)]
pub struct Metered {
    /// Whether `/readyz` reports that the service is ready.
    pub ready: bool,
    /// Whether the whole run is paused.
    pub paused: bool,
    /// Whether the run was told to stop.
    pub draining: bool,
    /// Hosts by their state.
    pub hosts: Vec<(&'static str, u64)>,
    /// Reloads of the configuration.
    pub reloads: Reloads,
    /// Requests to the API.
    pub api_requests: Vec<ApiRequests>,
    /// Free space on the disks that the run writes to.
    pub disks: Vec<DiskFree>,
    pub(super) records: BTreeMap<(Outcome, Option<ErrorKind>), u64>,
    pub(super) lines: Vec<(&'static str, u64)>,
    pub(super) oldest_line: Duration,
    pub(super) backlog: Duration,
    pub(super) window_lines: u64,
    pub(super) window_limit: u64,
    pub(super) overrides: [(&'static str, u64); 3],
    pub(super) limited: Vec<(&'static str, Duration)>,
    pub(super) concurrency_limit: u64,
    pub(super) retries: u64,
    pub(super) retries_denied: Vec<(&'static str, u64)>,
    pub(super) requests: Vec<(&'static str, u64)>,
    pub(super) body_bytes: u64,
    pub(super) body_memory: MemoryUse,
    pub(super) connections: [(&'static str, u64); 2],
    pub(super) look_ups: Vec<(&'static str, u64)>,
    pub(super) line_durations: Durations,
    pub(super) request_durations: [(&'static str, Durations); 4],
    pub(super) sources: Vec<SourceView>,
    pub(super) sinks: Vec<SinkView>,
    pub(super) checkpoint_age: Duration,
    pub(super) dropped_log_lines: u64,
    pub(super) process: Process,
}

/// Reloads of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloads {
    /// Successful reloads.
    pub succeeded: u64,
    /// Reloads refused because of an error.
    pub refused: u64,
    /// Whether the last reload succeeded. The start counts as a reload.
    pub last_succeeded: bool,
    /// The time of the last reload; by default the start of the process.
    pub last_at: Option<SystemTime>,
}

impl Default for Reloads {
    fn default() -> Self {
        Self { succeeded: 0, refused: 0, last_succeeded: true, last_at: None }
    }
}

/// Requests to one route of the API with the same class of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRequests {
    /// The route, from a fixed set, never the path of a request.
    pub route: &'static str,
    /// `2xx`, `4xx` or `5xx`.
    pub class: &'static str,
    /// The number of requests.
    pub requests: u64,
}

/// A disk that the run writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlace {
    /// The label in metrics: `state`, or `sink.NAME`.
    pub disk: String,
    /// A directory on the disk.
    pub dir: PathBuf,
}

/// The free space of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFree {
    /// The label in metrics.
    pub disk: String,
    /// Free bytes.
    pub bytes: u64,
}

impl DiskPlace {
    /// The current free space; `None` if it cannot be read.
    pub fn free(&self) -> Option<DiskFree> {
        Some(DiskFree { disk: self.disk.clone(), bytes: RealDisk.free(&self.dir).ok()? })
    }
}

impl Metered {
    /// The values from the status and the counts of a run.
    pub fn of(status: &Status, stats: &Stats) -> Self {
        let (counts, view, meters) = (stats.counts(), status.view().clone(), status.meters());
        let limited = view.bottleneck_times();
        let (opened, reused) = status.connections().map_or((0, 0), |counts| (counts.opened(), counts.reused()));
        let requests = |class| meters.requests().map_or(0, |counts| counts.of(class));
        let look_ups = |result| meters.look_ups().map_or(0, |counts| counts.of(result));
        Self {
            ready: status.lifecycle().state() == RunState::Running,
            paused: view.overrides.all.pause.is_some(),
            draining: matches!(status.lifecycle().state(), RunState::Draining { .. }),
            hosts: HostStatus::ALL.map(|status| (status.name(), 0)).to_vec(),
            reloads: Reloads::default(),
            api_requests: Vec::new(),
            disks: Vec::new(),
            lines: lines(status),
            oldest_line: view.oldest_age().unwrap_or_default(),
            backlog: view.totals.backlog,
            // A place that is reserved for the next line does not count.
            window_lines: (view.in_window as u64).min(status.counters().unfinished()),
            window_limit: view.window as u64,
            overrides: overrides(&view.overrides),
            limited: BottleneckKind::ALL.map(|kind| (kind.name(), limited.spent(kind))).to_vec(),
            concurrency_limit: match view.as_of {
                Some(_) => view.totals.concurrency_limit.into(),
                None => meters.first_limit().into(),
            },
            retries: view.totals.retries,
            retries_denied: RetryDenial::ALL.map(|why| (why.name(), view.totals.denied(why))).to_vec(),
            requests: RequestClass::ALL.map(|class| (class.name(), requests(class))).to_vec(),
            body_bytes: meters.requests().map_or(0, |counts| counts.body_bytes()),
            body_memory: meters.body_memory(),
            connections: [("new", opened), ("reused", reused)],
            look_ups: LookUpResult::ALL.map(|result| (result.name(), look_ups(result))).to_vec(),
            line_durations: counts.lines,
            request_durations: request_durations(status),
            sources: status.sources(),
            sinks: status.sinks(),
            checkpoint_age: meters.checkpoint_age().unwrap_or_default(),
            dropped_log_lines: dropped_messages(),
            process: Process::read(),
            records: results(counts.results),
        }
    }
}

/// What operators have changed, by kind; limits of rate and concurrency with one owner are one.
fn overrides(overrides: &Overrides) -> [(&'static str, u64); 3] {
    let count = |is_set: fn(&HostOverrides) -> bool| {
        std::iter::once(&overrides.all).chain(overrides.hosts.values()).filter(|of| is_set(of)).count() as u64
    };
    [
        ("pause", count(|of| of.pause.is_some())),
        ("skip", count(|of| of.skip.is_some())),
        ("limits", count(|of| of.rate.is_some() || of.concurrency.is_some())),
    ]
}

/// The number of lines by state.
fn lines(status: &Status) -> Vec<(&'static str, u64)> {
    let view = status.view();
    let (queued, waiting, in_flight) = (view.queued, view.counts.waiting as u64, view.counts.in_flight as u64);
    let unrecorded = status.counters().unfinished().saturating_sub(queued + waiting + in_flight);
    vec![("queued", queued), ("waiting", waiting), ("in_flight", in_flight), ("unrecorded", unrecorded)]
}

/// The durations of the phases of requests.
fn request_durations(status: &Status) -> [(&'static str, Durations); 4] {
    let meters = status.meters();
    let none = || Durations::new(&REQUEST_TIMES);
    [
        ("dns", meters.look_ups().map_or_else(none, |counts| counts.times())),
        ("connect", status.connections().map_or_else(none, |counts| counts.times())),
        ("ttfb", meters.requests().map_or_else(none, |counts| counts.ttfb.read())),
        ("body", meters.requests().map_or_else(none, |counts| counts.body.read())),
    ]
}

/// The number of records of every possible result, including zeros.
fn results(counted: BTreeMap<(Outcome, Option<ErrorKind>), u64>) -> BTreeMap<(Outcome, Option<ErrorKind>), u64> {
    let of_kind = |kind: ErrorKind| {
        // An `http_error` with an incomplete body is `failed`.
        let without_body = (kind.outcome(1) == Outcome::HttpError).then_some(Outcome::Failed);
        let outcomes = [Some(kind.outcome(0)), Some(kind.outcome(1)), without_body];
        outcomes.into_iter().flatten().map(move |outcome| ((outcome, Some(kind)), 0))
    };
    let mut all: BTreeMap<_, _> = ErrorKind::ALL.into_iter().flat_map(of_kind).collect();
    all.insert((Outcome::Ok, None), 0);
    all.extend(counted);
    all
}

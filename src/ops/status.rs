//! `GET /v1/status`: the state of the run on one page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use http::Uri;
use jiff::Timestamp;
use serde::Serialize;

use super::answer::{Answer, json};
use super::ends::{SinkShown, SourceShown, sinks, sources};
use super::failures::Failed;
use super::fields::Fields;
use super::health::{Readiness, Reason};
use super::history::{Rates, Sample, Table};
use super::moment::{self, At, Since, Until, seconds, timestamp};
use super::overrides::{self, OverrideShown};
use super::parts::{ConfigInForce, LastReload};
use super::state::ApiState;
use crate::pipeline::{RunState, Status, View};
use crate::schedule::{BottleneckKind, Eta, HeldLines, WaitingWork};
use crate::telemetry::Sentences;

#[derive(Serialize)]
struct Page {
    version: &'static str,
    now: At,
    state: &'static str,
    #[serde(flatten)]
    since: Since,
    #[serde(flatten)]
    sentences: Sentences,
    ready: bool,
    reasons: Vec<Reason>,
    lines: Lines,
    rates: AllRates,
    /// Records by outcome.
    outcomes: BTreeMap<&'static str, u64>,
    /// Records by error kind.
    kinds: BTreeMap<&'static str, u64>,
    bottleneck: Option<Limit>,
    /// Seconds for which each kind of bottleneck limited the run.
    limited_s: BTreeMap<&'static str, f64>,
    eta: Option<Ending>,
    /// How long the lines that wait now take; `null` if no line waits, or if it is unknown.
    backlog: Option<BacklogShown>,
    oldest_line: Option<Oldest>,
    /// The lines of hosts that wait for a new token, or waited for one in vain; `null` if there are none.
    token_waits: Option<TokenWaits>,
    sinks: Vec<SinkShown>,
    sources: Vec<SourceShown>,
    /// Lines that are accepted and not recorded, and their maximum.
    window: WindowShown,
    overrides: Vec<OverrideShown>,
    configuration: Configuration,
    failures: Vec<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Table>,
}

#[derive(Serialize)]
struct Lines {
    accepted: u64,
    recorded: u64,
    /// Lines between source and schedule, or between schedule and sinks.
    queued: u64,
    waiting: u64,
    in_flight: u64,
    unrecorded: u64,
    released: u64,
    /// Lines that are left for the next start.
    left: u64,
}

#[derive(Serialize)]
struct AllRates {
    accepted: Rates,
    recorded: Rates,
    not_ok: Rates,
}

#[derive(Serialize)]
struct Limit {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// A sentence with the bottleneck and the key or option that changes it.
    message: String,
}

#[derive(Serialize)]
struct Ending {
    #[serde(flatten)]
    until: Until,
    /// Whether the time is a lower bound.
    at_least: bool,
}

#[derive(Serialize)]
struct BacklogShown {
    takes_s: f64,
    /// Whether the time is a lower bound.
    at_least: bool,
    lines: usize,
    /// The slowest host; absent if a limit of the run is slower.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Arc<str>>,
    /// Lines a second; absent if the lines are held until a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_s: Option<f64>,
}

impl BacklogShown {
    fn of(WaitingWork { takes, lines, host, per_second }: WaitingWork) -> Self {
        let per_s = per_second.map(|rate| (rate * 1000.0).round() / 1000.0);
        let (takes_s, at_least) = (seconds(takes.left()), matches!(takes, Eta::AtLeast(_)));
        Self { takes_s, at_least, lines, host, per_s }
    }
}

#[derive(Serialize)]
struct Oldest {
    ordinal: u64,
    age_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Arc<str>>,
}

#[derive(Serialize)]
struct TokenWaits {
    /// The host with the most lines.
    host: Arc<str>,
    lines: usize,
    /// All such hosts, and their lines.
    hosts: usize,
    all_lines: usize,
}

impl TokenWaits {
    fn of(HeldLines { host, lines, hosts, all }: HeldLines) -> Self {
        Self { host, lines, hosts, all_lines: all }
    }
}

#[derive(Serialize)]
struct WindowShown {
    lines: usize,
    most: usize,
}

#[derive(Serialize)]
struct Configuration {
    digest: String,
    file: Option<String>,
    #[serde(serialize_with = "moment::in_millis")]
    loaded: Timestamp,
    last_reload: Option<LastReload>,
}

impl Configuration {
    fn of(config: &ConfigInForce) -> Self {
        let ConfigInForce { digest, file, loaded, last_reload, .. } = config.clone();
        Self { digest, file, loaded, last_reload }
    }
}

#[derive(Serialize)]
struct Failure {
    at: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Arc<str>>,
    seq: u64,
    url: Option<String>,
    host: Option<String>,
    outcome: &'static str,
    kind: Option<&'static str>,
    status: Option<u16>,
    message: Option<String>,
    attempts: u32,
}

impl Failure {
    fn of(failed: Failed) -> Self {
        let Failed { at, source, file, seq, url, host, outcome, kind, status, message, attempts } = failed;
        let (outcome, kind) = (outcome.name(), kind.map(|kind| kind.name()));
        Self { at: timestamp(at), source, file, seq, url, host, outcome, kind, status, message, attempts }
    }
}

/// `history=1` adds the samples of the last 15 min.
pub(super) async fn status(State(api): State<Arc<ApiState>>, uri: Uri) -> Answer {
    let mut fields = Fields::of_query(uri.query())?;
    let with_history = fields.wanted("history")?;
    fields.end()?;
    let history = with_history.then(|| api.history().table());
    Ok(json(&Page { history, ..page(&api) }))
}

fn page(api: &ApiState) -> Page {
    let parts = &api.parts;
    let (status, view, tally) = (&parts.status, parts.status.view().clone(), parts.stats.tally());
    let rates = {
        let history = api.history();
        AllRates {
            accepted: history.rates(|sample| sample.accepted),
            recorded: history.rates(|sample| sample.recorded),
            not_ok: history.rates(|sample| sample.not_ok),
        }
    };
    let sentences = Sentences::of(status, &parts.stats, rates.recorded.minute);
    let Readiness { ready, reasons } = api.health.readiness(status);
    Page {
        version: env!("CARGO_PKG_VERSION"),
        now: moment::now(),
        state: state_name(status.lifecycle().state()),
        since: Since::ago(status.lifecycle().since()),
        bottleneck: bottleneck(&view, &sentences),
        sentences,
        ready,
        reasons,
        lines: lines(status),
        rates,
        outcomes: tally.outcomes.iter().map(|(outcome, n)| (outcome.name(), *n)).collect(),
        kinds: tally.kinds.iter().map(|(kind, n)| (kind.name(), *n)).collect(),
        limited_s: limited(&view),
        eta: view.eta().map(ending),
        backlog: view.waiting_work.clone().map(BacklogShown::of),
        oldest_line: oldest(&view),
        token_waits: view.token_waits.clone().map(TokenWaits::of),
        sinks: sinks(status),
        sources: sources(status),
        window: window(status, &view),
        overrides: overrides::all(&view),
        configuration: Configuration::of(&parts.config.borrow()),
        failures: parts.live.failures().all().into_iter().map(Failure::of).collect(),
        history: None,
    }
}

fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Starting => "starting",
        RunState::Running => "running",
        RunState::Draining { .. } => "draining",
        RunState::Ended => "ended",
    }
}

fn lines(status: &Status) -> Lines {
    let (counters, sample) = (status.counters(), Sample::of(status));
    let (released, left) = (counters.released.get(), counters.left.get());
    Lines {
        accepted: sample.recorded + released + left + sample.unrecorded,
        recorded: sample.recorded,
        queued: sample.queued,
        waiting: sample.waiting,
        in_flight: sample.in_flight,
        unrecorded: sample.unrecorded,
        released,
        left,
    }
}

/// A place reserved for the next line does not count.
fn window(status: &Status, view: &View) -> WindowShown {
    let unrecorded = usize::try_from(status.counters().unfinished()).unwrap_or(usize::MAX);
    WindowShown { lines: view.in_window.min(unrecorded), most: view.window }
}

fn bottleneck(view: &View, sentences: &Sentences) -> Option<Limit> {
    let bottleneck = view.bottleneck.as_ref()?;
    let (host, port) = (bottleneck.host.clone(), bottleneck.port);
    Some(Limit { kind: bottleneck.kind.name(), host, port, message: sentences.waits_for.clone() })
}

/// The bottleneck times, including the current one.
fn limited(view: &View) -> BTreeMap<&'static str, f64> {
    let times = view.bottleneck_times();
    let spent = |kind: BottleneckKind| (kind.name(), seconds(times.spent(kind)));
    BottleneckKind::ALL.into_iter().map(spent).filter(|(_, spent)| *spent > 0.0).collect()
}

fn ending(eta: Eta) -> Ending {
    Ending { until: Until::from_now(eta.left()), at_least: matches!(eta, Eta::AtLeast(_)) }
}

fn oldest(view: &View) -> Option<Oldest> {
    let (oldest, age) = (view.oldest.as_ref()?, view.oldest_age()?);
    let host = oldest.host.as_ref().map(|host| Arc::clone(&host.name));
    Some(Oldest { ordinal: oldest.ordinal, age_s: seconds(age), host })
}

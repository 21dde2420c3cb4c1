//! The table of all metrics: name, kind, labels, help, and the function for the samples. Names are stable; names of
//! counters end in `_total`, after the unit.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use super::Metered;
use crate::item::Durations;

/// A row of the table.
pub(super) struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    /// The labels of the samples, in order.
    pub labels: &'static [&'static str],
    pub samples: fn(&Metered) -> Vec<Sample>,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A sample: the values of its labels, and its value.
pub(super) struct Sample {
    pub labels: Vec<Cow<'static, str>>,
    pub value: Value,
}

/// The value of a sample.
pub(super) enum Value {
    Integer(u64),
    Float(f64),
    Durations(Durations),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        Self::Float(value.as_secs_f64())
    }
}

/// One sample without labels.
fn one(value: impl Into<Value>) -> Vec<Sample> {
    vec![Sample { labels: Vec::new(), value: value.into() }]
}

/// One sample for each value of the only label.
fn by<L: Into<Cow<'static, str>>, V: Into<Value>>(samples: impl IntoIterator<Item = (L, V)>) -> Vec<Sample> {
    let sample = |(label, value): (L, V)| Sample { labels: vec![label.into()], value: value.into() };
    samples.into_iter().map(sample).collect()
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&Metered) -> Vec<Sample>,
) -> Family {
    Family { name, kind: Kind::Counter, help, labels, samples }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&Metered) -> Vec<Sample>,
) -> Family {
    Family { name, kind: Kind::Gauge, help, labels, samples }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&Metered) -> Vec<Sample>,
) -> Family {
    Family { name, kind: Kind::Histogram, help, labels, samples }
}

/// One sample for each source.
fn sources<V: Into<Value>>(metered: &Metered, value: impl Fn(&crate::source::SourceView) -> Option<V>) -> Vec<Sample> {
    by(metered.sources.iter().filter_map(|source| Some((source.name.to_string(), value(source)?))))
}

/// One sample for each sink.
fn sinks<V: Into<Value>>(metered: &Metered, value: impl Fn(&crate::sink::SinkView) -> V) -> Vec<Sample> {
    by(metered.sinks.iter().map(|sink| (sink.name.to_string(), value(sink))))
}

fn records(metered: &Metered) -> Vec<Sample> {
    let sample = |((outcome, kind), count): (&(crate::item::Outcome, Option<crate::item::ErrorKind>), &u64)| {
        let labels = vec![outcome.name().into(), kind.map_or("", crate::item::ErrorKind::name).into()];
        Sample { labels, value: (*count).into() }
    };
    metered.records.iter().map(sample).collect()
}

fn api_requests(metered: &Metered) -> Vec<Sample> {
    let sample =
        |of: &super::ApiRequests| Sample { labels: vec![of.route.into(), of.class.into()], value: of.requests.into() };
    metered.api_requests.iter().map(sample).collect()
}

fn last_reload(metered: &Metered) -> f64 {
    let at = metered.reloads.last_at.unwrap_or_else(|| metered.process.start());
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The table.
#[rustfmt::skip]
pub(super) const FAMILIES: &[Family] = &[
    // Lines and records.
    counter("fetchd_lines_accepted_total", &["source"], "Lines accepted, by source",
        |all| sources(all, |source| Some(source.lines))),
    counter("fetchd_accepted_bytes_total", &["source"], "Bytes of accepted lines, each with its line end, by source",
        |all| sources(all, |source| Some(source.bytes))),
    counter("fetchd_records_total", &["outcome", "kind"],
        "Records that every sink has taken, by outcome and kind of error; the kind is empty without an error", records),
    gauge("fetchd_lines", &["state"],
        "Lines accepted and without a record: queued for the schedule, waiting for their host, in flight, or unrecorded while the record waits for a sink",
        |all| by(all.lines.iter().copied())),
    gauge("fetchd_oldest_line_age_seconds", &[], "Age of the oldest line that waits for its host or is on the wire; 0 if there is none",
        |all| one(all.oldest_line)),
    histogram("fetchd_line_duration_seconds", &[],
        "Time from the acceptance of a line to its result, of lines that could be requested",
        |all| one(Value::Durations(all.line_durations.clone()))),
    // What the run waits for.
    counter("fetchd_limited_seconds_total", &["limit"], "Time by the limit that was the bottleneck of the run",
        |all| by(all.limited.iter().copied())),
    gauge("fetchd_backlog_seconds", &[], "Time that the slowest host needs for its lines in the window",
        |all| one(all.backlog)),
    gauge("fetchd_window_lines", &[], "Lines in the window: accepted, and without a record", |all| one(all.window_lines)),
    gauge("fetchd_window_limit_lines", &[], "Limit of lines in the window (queue.window); 0 before the run has begun",
        |all| one(all.window_limit)),
    gauge("fetchd_hosts", &["state"], "Hosts that are tracked, by state", |all| by(all.hosts.iter().copied())),
    gauge("fetchd_concurrency_limit", &[], "Current limit of concurrent requests of the run; 0 before it has begun",
        |all| one(all.concurrency_limit)),
    // Requests.
    counter("fetchd_requests_total", &["class"],
        "Requests by the class of their status; error means that no whole response came",
        |all| by(all.requests.iter().copied())),
    histogram("fetchd_request_duration_seconds", &["phase"],
        "Parts of requests: DNS look-up, connecting (look-up included), time to the first byte, the body after it",
        |all| by(all.request_durations.iter().map(|(phase, times)| (*phase, Value::Durations(times.clone()))))),
    counter("fetchd_retries_total", &[], "Retries", |all| one(all.retries)),
    counter("fetchd_retries_denied_total", &["reason"],
        "Retries denied, by the limit that denied them",
        |all| by(all.retries_denied.iter().copied())),
    counter("fetchd_connections_total", &["how"],
        "Connections opened, and requests that reused one",
        |all| by(all.connections)),
    counter("fetchd_dns_lookups_total", &["result"],
        "DNS look-ups, by result; shared means that the answer was cached, or that a look-up was under way",
        |all| by(all.look_ups.iter().copied())),
    counter("fetchd_body_bytes_total", &[], "Bytes of bodies that were received whole, after decoding",
        |all| one(all.body_bytes)),
    gauge("fetchd_body_memory_bytes", &[], "Memory that bodies hold now, in bytes", |all| one(all.body_memory.in_use)),
    gauge("fetchd_body_memory_limit_bytes", &[], "Memory that bodies may hold (limits.body_memory), in bytes",
        |all| one(all.body_memory.limit)),
    // Sinks, sources and disks.
    counter("fetchd_sink_records_total", &["sink"], "Records written, by sink",
        |all| sinks(all, |sink| sink.written.records)),
    counter("fetchd_sink_bytes_total", &["sink"], "Bytes of the text of records written, by sink",
        |all| sinks(all, |sink| sink.written.bytes)),
    counter("fetchd_sink_blocked_seconds_total", &["sink"], "Time in which records waited for the sink",
        |all| sinks(all, |sink| sink.blocked)),
    gauge("fetchd_sink_blocked", &["sink"], "Whether records have been waiting for the sink for a second or longer",
        |all| sinks(all, |sink| sink.blocked_for.is_some_and(|time| time >= Duration::from_secs(1)))),
    gauge("fetchd_source_lag_bytes", &["source"], "Bytes that wait to be read; 0 if unknown, as for a pipe",
        |all| sources(all, |source| Some(source.lag))),
    gauge("fetchd_journal_bytes", &["source"], "Bytes of the journal, by source; 0 without one",
        |all| sources(all, |source| Some(source.journal.map_or(0, |journal| journal.bytes)))),
    gauge("fetchd_journal_limit_bytes", &["source"], "Limit of the journal (max_journal), in bytes; absent without one",
        |all| sources(all, |source| source.journal.map(|journal| journal.most))),
    gauge("fetchd_journal_waiting_lines", &["source"], "Lines in the journal that wait for room in the window, by source; 0 without one",
        |all| sources(all, |source| Some(source.waiting_in_journal()))),
    gauge("fetchd_disk_free_bytes", &["disk"], "Bytes free on the disk of the data directory (state), or of the output of a sink (sink.NAME)",
        |all| by(all.disks.iter().map(|disk| (disk.disk.clone(), disk.bytes)))),
    gauge("fetchd_checkpoint_age_seconds", &[],
        "Time since the last checkpoint, or since the start; 0 without a data directory. Without new records none is written",
        |all| one(all.checkpoint_age)),
    // The service.
    gauge("fetchd_ready", &[], "Whether the service is ready (/readyz)", |all| one(all.ready)),
    gauge("fetchd_paused", &[], "Whether an operator has paused the run", |all| one(all.paused)),
    gauge("fetchd_overrides", &["kind"],
        "Pauses, skips and limits by operators in force, of the run and of hosts, with or without lines",
        |all| by(all.overrides)),
    gauge("fetchd_draining", &[], "Whether the service finishes its lines in order to stop", |all| one(all.draining)),
    counter("fetchd_config_reloads_total", &["result"], "Attempts to load the configuration again, by result",
        |all| by([("success", all.reloads.succeeded), ("refused", all.reloads.refused)])),
    gauge("fetchd_config_last_reload_successful", &[], "Whether the last attempt to load the configuration succeeded",
        |all| one(all.reloads.last_succeeded)),
    gauge("fetchd_config_last_reload_timestamp_seconds", &[], "Last attempt to load the configuration, in seconds since 1970; the start counts as one",
        |all| one(last_reload(all))),
    counter("fetchd_api_requests_total", &["route", "class"], "Requests to the API, by route and class of status",
        api_requests),
    counter("fetchd_log_lines_dropped_total", &[], "Log lines dropped because stderr was not read",
        |all| one(all.dropped_log_lines)),
    gauge("fetchd_build_info", &["version"], "The version of fetchd; always 1",
        |_| by([(env!("CARGO_PKG_VERSION"), 1_u64)])),
    // The process.
    counter("process_cpu_seconds_total", &[], "CPU time of the process, in seconds", |all| one(all.process.cpu_seconds)),
    gauge("process_resident_memory_bytes", &[], "Resident memory, in bytes", |all| one(all.process.resident_bytes)),
    gauge("process_virtual_memory_bytes", &[], "Virtual memory, in bytes", |all| one(all.process.virtual_bytes)),
    gauge("process_open_fds", &[], "Open file descriptors", |all| one(all.process.open_fds)),
    gauge("process_max_fds", &[], "Limit of open file descriptors", |all| one(all.process.max_fds)),
    gauge("process_threads", &[], "Threads of the process", |all| one(all.process.threads)),
    gauge("process_start_time_seconds", &[], "Start of the process, in seconds since 1970",
        |all| one(all.process.start_seconds)),
];

//! Tests that all metrics exist from the start, with their labels and documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::families::{FAMILIES, Kind};
use super::*;
use crate::pipeline::{Status, View};
use crate::schedule::{ConcurrencyOverride, HostOverrides, Overrides, PauseOverride, SkipOverride};
use crate::telemetry::Stats;

/// The stable names with their labels.
const CONTRACT: &[(&str, &str)] = &[
    ("fetchd_lines_accepted_total", "source"),
    ("fetchd_accepted_bytes_total", "source"),
    ("fetchd_records_total", "outcome kind"),
    ("fetchd_requests_total", "class"),
    ("fetchd_retries_total", ""),
    ("fetchd_retries_denied_total", "reason"),
    ("fetchd_limited_seconds_total", "limit"),
    ("fetchd_connections_total", "how"),
    ("fetchd_sink_records_total", "sink"),
    ("fetchd_sink_bytes_total", "sink"),
    ("fetchd_sink_blocked_seconds_total", "sink"),
    ("fetchd_dns_lookups_total", "result"),
    ("fetchd_body_bytes_total", ""),
    ("fetchd_log_lines_dropped_total", ""),
    ("fetchd_config_reloads_total", "result"),
    ("fetchd_api_requests_total", "route class"),
    ("fetchd_lines", "state"),
    ("fetchd_hosts", "state"),
    ("fetchd_oldest_line_age_seconds", ""),
    ("fetchd_backlog_seconds", ""),
    ("fetchd_checkpoint_age_seconds", ""),
    ("fetchd_concurrency_limit", ""),
    ("fetchd_source_lag_bytes", "source"),
    ("fetchd_journal_bytes", "source"),
    ("fetchd_sink_blocked", "sink"),
    ("fetchd_body_memory_bytes", ""),
    ("fetchd_body_memory_limit_bytes", ""),
    ("fetchd_disk_free_bytes", "disk"),
    ("fetchd_ready", ""),
    ("fetchd_paused", ""),
    ("fetchd_overrides", "kind"),
    ("fetchd_draining", ""),
    ("fetchd_config_last_reload_successful", ""),
    ("fetchd_config_last_reload_timestamp_seconds", ""),
    ("fetchd_build_info", "version"),
    ("fetchd_line_duration_seconds", ""),
    ("fetchd_request_duration_seconds", "phase"),
    ("process_cpu_seconds_total", ""),
    ("process_resident_memory_bytes", ""),
    ("process_open_fds", ""),
    ("process_max_fds", ""),
    ("process_start_time_seconds", ""),
];

fn idle() -> Metered {
    Metered::of(&Status::default(), &Stats::default())
}

/// Parses samples by name and labels.
pub(super) fn samples(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

#[test]
fn every_name_of_the_contract_is_in_the_table_with_its_labels() {
    let table: BTreeMap<_, _> = FAMILIES.iter().map(|family| (family.name, family.labels.join(" "))).collect();
    assert_eq!(table.len(), FAMILIES.len(), "no name comes twice");
    for (name, labels) in CONTRACT {
        assert_eq!(table.get(name).map(String::as_str), Some(*labels), "{name}");
    }
}

#[test]
fn overrides_of_the_run_and_of_hosts_without_lines_are_counted_by_kind() {
    let (status, now) = (Status::default(), Duration::from_secs(1));
    let paused = || HostOverrides { pause: Some(PauseOverride { until: None }), ..HostOverrides::default() };
    let skipped = HostOverrides { skip: Some(SkipOverride { until: 2 * now }), ..paused() };
    let limited =
        HostOverrides { concurrency: Some(ConcurrencyOverride { limit: 2, until: None }), ..HostOverrides::default() };
    let hosts = [("a.test".into(), skipped), ("b.test".into(), limited)].into();
    let overrides = Overrides { all: paused(), hosts };
    status.publish(View { overrides: Arc::new(overrides), ..View::default() });
    let samples = samples(&text(Metered::of(&status, &Stats::default())));
    let of = |kind: &str| samples[&format!("fetchd_overrides{{kind=\"{kind}\"}}")];
    assert_eq!((of("pause"), of("skip"), of("limits")), (2.0, 1.0, 1.0));
}

#[test]
fn names_have_the_form_that_prometheus_recommends() {
    for family in FAMILIES {
        assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
        assert!(family.name.starts_with("fetchd_") || family.name.starts_with("process_"), "{}", family.name);
        assert!(family.help.len() > 5 && !family.help.ends_with('.'), "{}", family.name);
        let word = |unit: &str| family.name.contains(unit);
        if family.kind == Kind::Histogram {
            assert!(family.name.ends_with("_seconds"), "{}", family.name);
        }
        let help = family.help.to_lowercase();
        if word("_bytes") {
            assert!(help.contains("bytes"), "{}: {help}", family.name);
        }
        for label in family.labels {
            assert!(!["host", "url", "le", "instance", "job"].contains(label), "{}", family.name);
        }
    }
}

#[test]
fn every_metric_is_announced_before_anything_has_happened_and_counts_from_zero() {
    let text = text(idle());
    for family in FAMILIES {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        for line in [format!("# HELP {} {}", family.name, family.help), format!("# TYPE {} {kind}", family.name)] {
            assert_eq!(text.lines().filter(|other| *other == line).count(), 1, "{line}");
        }
    }
    for (series, value) in samples(&text) {
        if series.starts_with("fetchd_") && (series.contains("_total") || series.contains("_duration_")) {
            assert_eq!(value, 0.0, "{series}");
        }
    }
    let expected = [
        "fetchd_records_total{outcome=\"ok\",kind=\"\"} 0",
        "fetchd_records_total{outcome=\"http_error\",kind=\"http_status\"} 0",
        "fetchd_requests_total{class=\"error\"} 0",
        "fetchd_limited_seconds_total{limit=\"host_rate\"} 0",
        "fetchd_request_duration_seconds_bucket{phase=\"ttfb\",le=\"0.005\"} 0",
        "fetchd_request_duration_seconds_bucket{phase=\"ttfb\",le=\"+Inf\"} 0",
        "fetchd_lines{state=\"in_flight\"} 0",
        "fetchd_overrides{kind=\"limits\"} 0",
    ];
    let lines: BTreeSet<_> = text.lines().collect();
    for line in expected {
        assert!(lines.contains(line) || lines.contains(format!("{line}.0").as_str()), "{line} is not in\n{text}");
    }
}

#[test]
fn the_documentation_lists_every_metric_with_its_labels_and_its_help() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let begin = format!("| `{}` | {} | ", family.name, labels.join(", "));
        let row = text.lines().find_map(|line| line.strip_prefix(&begin)?.strip_suffix(" |"));
        assert!(row.is_some_and(|row| row.eq_ignore_ascii_case(family.help)), "{begin}{} |", family.help);
    }
}

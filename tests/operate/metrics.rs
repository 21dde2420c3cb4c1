//! `/metrics` of a real run: what it counts, and what promtool says of it, of the alerts and of their tests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::common::PATIENCE;
use crate::common::fetchd::Running;
use crate::common::origin::Origin;
use crate::common::tools::tool;
use crate::place::Place;

/// A run whose input is named `in` and has a journal, and whose records go to `out`; those that are not ok also to `file`.
pub fn place() -> Place {
    let mut place = Place::new();
    place.tables = format!(
        "[source.in.stdin]\ndurable = true\n[sink.out.stdout]\n[sink.file.jsonl]\npath = {:?}\nrecords = \"not_ok\"\n[state]\ndata_dir = {:?}\n",
        place.path("not-ok.jsonl"),
        place.path("state")
    );
    place
}

/// Has three lines done: one ok, one 404, and one that cannot be requested.
pub fn do_some_lines(running: &mut Running, origin: &Origin) {
    running.line(&origin.url("/ok/1"));
    running.line(&origin.url("/status/404"));
    running.line("ftp://a.test/");
    (0..3).for_each(|_| drop(running.record()));
}

/// The samples of a scrape.
fn scrape(place: &Place) -> BTreeMap<String, f64> {
    let answer = place.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// Scrapes until this is so: what the schedule shows is up to 200 ms old.
fn scrape_until(place: &Place, is_so: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
    let begin = tokio::time::Instant::now();
    loop {
        let scraped = scrape(place);
        if is_so(&scraped) {
            return scraped;
        }
        assert!(begin.elapsed() < PATIENCE, "it does not come to that");
        // The API takes fifty requests a second.
        std::thread::park_timeout(Duration::from_millis(40));
    }
}

/// Has some lines done, and shows a scrape after that, with another one just before.
fn scrapes_after_some_lines(place: &Place, origin: &Origin) -> [BTreeMap<String, f64>; 2] {
    let mut running = place.start();
    do_some_lines(&mut running, origin);
    place.wait_until(|status| {
        let lines = &status["lines"];
        lines["recorded"] == 3 && lines["in_flight"] == 0 && lines["waiting"] == 0 && lines["queued"] == 0
    });
    let before = scrape(place);
    assert!(before["fetchd_concurrency_limit"] > 0.0, "it is known from the start of the run on");
    scrape_until(place, |scrape| scrape["fetchd_limited_seconds_total{limit=\"input\"}"] > 0.0);
    let after = scrape(place);
    assert_eq!(running.finish("").code, Some(0));
    [before, after]
}

#[test]
fn a_run_counts_its_lines_requests_and_records() {
    let (place, origin) = (place(), Origin::start());
    let [_, scrape] = scrapes_after_some_lines(&place, &origin);
    let bytes = 2 * origin.url("").len() + "/ok/1".len() + "/status/404".len() + "ftp://a.test/".len() + 3;
    let in_file = std::fs::metadata(place.path("not-ok.jsonl")).unwrap().len();
    for (series, expected) in [
        ("fetchd_lines_accepted_total{source=\"in\"}", 3.0),
        ("fetchd_accepted_bytes_total{source=\"in\"}", bytes as f64),
        ("fetchd_records_total{outcome=\"ok\",kind=\"\"}", 1.0),
        ("fetchd_records_total{outcome=\"http_error\",kind=\"http_status\"}", 1.0),
        ("fetchd_records_total{outcome=\"rejected\",kind=\"scheme_not_allowed\"}", 1.0),
        ("fetchd_requests_total{class=\"2xx\"}", 1.0),
        ("fetchd_requests_total{class=\"4xx\"}", 1.0),
        ("fetchd_requests_total{class=\"error\"}", 0.0),
        ("fetchd_sink_records_total{sink=\"out\"}", 3.0),
        ("fetchd_sink_records_total{sink=\"file\"}", 2.0),
        ("fetchd_sink_bytes_total{sink=\"file\"}", in_file as f64),
        ("fetchd_line_duration_seconds_count", 2.0),
        ("fetchd_request_duration_seconds_count{phase=\"ttfb\"}", 2.0),
        ("fetchd_lines{state=\"in_flight\"}", 0.0),
        ("fetchd_lines{state=\"unrecorded\"}", 0.0),
        ("fetchd_source_lag_bytes{source=\"in\"}", 0.0),
        ("fetchd_journal_limit_bytes{source=\"in\"}", f64::from(1_u32 << 31) * 2.0),
        ("fetchd_ready", 1.0),
        ("fetchd_paused", 0.0),
        ("fetchd_config_last_reload_successful", 1.0),
    ] {
        assert_eq!(scrape.get(series), Some(&expected), "{series}");
    }
    let connections = |how: &str| scrape[&format!("fetchd_connections_total{{how=\"{how}\"}}")];
    // The second request may take an idle connection while one that was opened for it stays in the pool.
    let [new, reused] = ["new", "reused"].map(connections);
    assert!((1.0..=2.0).contains(&new) && new + reused >= 2.0 && reused <= 1.0, "{new} new, {reused} reused");
}

#[test]
fn what_a_run_holds_and_waits_for_shows_and_each_scrape_is_counted() {
    let (place, origin) = (place(), Origin::start());
    let [before, scrape] = scrapes_after_some_lines(&place, &origin);
    for series in [
        "fetchd_sink_bytes_total{sink=\"out\"}",
        "fetchd_body_bytes_total",
        "fetchd_journal_bytes{source=\"in\"}",
        "fetchd_disk_free_bytes{disk=\"state\"}",
        "fetchd_disk_free_bytes{disk=\"sink.file\"}",
        "fetchd_concurrency_limit",
        "fetchd_body_memory_limit_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(scrape.get(series).is_some_and(|value| *value > 0.0), "{series}: {:?}", scrape.get(series));
    }
    assert_eq!(before["process_start_time_seconds"], scrape["process_start_time_seconds"]);
    let limited = scrape.iter().filter(|(series, _)| series.starts_with("fetchd_limited_seconds_total"));
    assert!(limited.map(|(_, seconds)| *seconds).sum::<f64>() > 0.0);
    let scrapes = "fetchd_api_requests_total{route=\"/metrics\",class=\"2xx\"}";
    assert!(scrape[scrapes] > before[scrapes]);
    assert!(scrape.len() <= 300 + 10 + 2 * 6, "{} series", scrape.len());
}

#[test]
fn a_name_that_is_looked_up_in_vain_is_counted_and_opens_no_connection() {
    let place = place();
    let mut running = place.start();
    running.line("http://nothing.invalid/");
    assert_eq!(running.record()["error"]["kind"], "dns_not_found");
    let scrape = scrape(&place);
    for (series, expected) in [
        ("fetchd_dns_lookups_total{result=\"not_found\"}", 1.0),
        ("fetchd_dns_lookups_total{result=\"found\"}", 0.0),
        ("fetchd_dns_lookups_total{result=\"shared\"}", 0.0),
        ("fetchd_request_duration_seconds_count{phase=\"dns\"}", 1.0),
        ("fetchd_request_duration_seconds_count{phase=\"connect\"}", 0.0),
        ("fetchd_requests_total{class=\"error\"}", 1.0),
        ("fetchd_connections_total{how=\"new\"}", 0.0),
    ] {
        assert_eq!(scrape.get(series), Some(&expected), "{series}");
    }
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_pause_and_a_refused_reload_show() {
    let (place, origin) = (place(), Origin::start());
    let mut running = place.start();
    do_some_lines(&mut running, &origin);
    assert_eq!(place.post("/v1/pause", "{}").status, 200);
    assert_eq!(place.ctl(["reload"]).code, 0);
    let scrape = scrape_until(&place, |scrape| scrape["fetchd_paused"] == 1.0);
    assert_eq!(scrape["fetchd_ready"], 0.0);
    assert_eq!(scrape["fetchd_config_reloads_total{result=\"success\"}"], 1.0);
    assert_eq!(place.post("/v1/resume", "{}").status, 200);
    assert_eq!(place.post("/v1/pause", r#"{"host":"127.0.0.1"}"#).status, 200);
    running.line(&origin.url("/ok/2"));
    place.wait_until(|status| status["lines"]["waiting"] == 1);
    let scrape = scrape_until(&place, |scrape| scrape["fetchd_paused"] == 0.0);
    assert_eq!(scrape["fetchd_hosts{state=\"paused\"}"], 1.0);
    assert_eq!(place.post("/v1/resume", r#"{"host":"127.0.0.1"}"#).status, 200);
    assert_eq!(running.record()["outcome"], "ok");
    assert_eq!(running.finish("").code, Some(0));
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What promtool says; nothing if it is not installed.
fn promtool(args: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new(tool("promtool")?);
    command.args(args).current_dir(repository("")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

/// It has no objection.
fn agrees(said: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(said.status.success(), "{}\n{}", text(&said.stdout), text(&said.stderr));
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics_of_a_run() {
    let (place, origin) = (place(), Origin::start());
    let mut running = place.start();
    do_some_lines(&mut running, &origin);
    let text = place.get("/metrics").text;
    assert_eq!(running.finish("").code, Some(0));
    let Some(said) = promtool(&["check", "metrics"], &text) else { return };
    agrees(&said);
    assert!(said.stdout.is_empty() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn promtool_finds_nothing_wrong_with_the_alerts() {
    let Some(said) = promtool(&["check", "rules", "config/alerts.yml"], "") else { return };
    agrees(&said);
    assert!(String::from_utf8_lossy(&said.stdout).contains("10 rules found"));
}

#[test]
fn the_alerts_fire_when_they_should_and_not_else() {
    let Some(said) = promtool(&["test", "rules", "tests/prometheus/rules.yml"], "") else { return };
    agrees(&said);
}

#[test]
fn each_alert_has_its_section_in_the_documentation() {
    let alerts = std::fs::read_to_string(repository("config/alerts.yml")).unwrap();
    let documentation = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let names: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(names.len(), 10);
    for name in names {
        assert!(alerts.contains(&format!("(docs/operations.md, section {name})")), "{name}");
        assert!(documentation.lines().any(|line| line == format!("### {name}")), "{name}");
    }
}

#[test]
fn no_counter_falls_over_a_reload_that_makes_new_connections() {
    let (mut place, origin) = (place(), Origin::start());
    let tables = place.tables.clone();
    let with_timeout = |seconds: u32| format!("{tables}[fetch]\nconnect_timeout = '{seconds}s'\n");
    place.write(&with_timeout(9));
    let mut running = place.start();
    let named = |path: &str| origin.url(path).replace("127.0.0.1", "localhost");
    let do_lines = |running: &mut Running| {
        [origin.url("/ok/1"), named("/ok/2"), named("/ok/3")].iter().for_each(|url| {
            running.line(url);
            running.record();
        });
    };
    let sum = |samples: &BTreeMap<String, f64>, name: &str| -> f64 {
        samples.iter().filter(|(series, _)| series.starts_with(name)).map(|(_, value)| value).sum()
    };
    do_lines(&mut running);
    let mut before = scrape_until(&place, |samples| sum(samples, "fetchd_connections_total") == 3.0);
    assert!(sum(&before, "fetchd_dns_lookups_total") >= 1.0, "{before:#?}");
    for (reload, seconds) in (1..).zip([8, 7, 6]) {
        place.write(&with_timeout(seconds));
        let said = place.ctl(["reload"]);
        assert_eq!(said.code, 0, "{said:?}");
        let after = scrape(&place);
        do_lines(&mut running);
        let lines = f64::from(3 * (reload + 1));
        let last = scrape_until(&place, |samples| sum(samples, "fetchd_connections_total") == lines);
        for (series, value) in before.iter().filter(|(series, _)| series.contains("_total")) {
            assert!(after[series] >= *value && last[series] >= after[series], "{series}: {value}, {}", after[series]);
        }
        assert!(sum(&last, "fetchd_dns_lookups_total") > sum(&before, "fetchd_dns_lookups_total"));
        before = last;
    }
    assert_eq!(running.finish("").code, Some(0));
}

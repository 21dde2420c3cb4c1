//! The ways a run ends: the input's end, signals, a reader that leaves; and the exit code of each.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::time::Instant;

use crate::common::fetchd::{Fetchd, Running, kind, seq};
use crate::common::origin::Origin;
use crate::common::pipe::fill;

/// What a busy machine may add to a time limit of the product.
const SLACK: Duration = Duration::from_secs(2);

/// Lines that all ask for this path.
fn lines(origin: &Origin, path: &str, count: usize) -> String {
    (0..count).map(|n| origin.url(&format!("{path}?{n}")) + "\n").collect()
}

/// A process with this many requests that no server answers, and its stdin open.
fn hanging(origin: &Origin, count: usize, config: &str) -> Running {
    let mut fetchd = Fetchd::local().config(config).start();
    for line in lines(origin, "/hang", count).lines() {
        fetchd.line(line);
    }
    origin.wait_for_requests(count);
    fetchd
}

#[test]
fn the_end_of_input_finishes_every_line_and_exits_with_0_whatever_came_of_them() {
    let origin = Origin::start();
    let ended = Fetchd::local().run(origin.url("/status/404"));
    assert_eq!((ended.code, ended.count("http_error")), (Some(0), 1));
    let ended = Fetchd::local().run("");
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0));
}

#[test]
fn the_summary_counts_outcomes_and_says_how_long_lines_were_on_the_wire() {
    let origin = Origin::start();
    let summary = Fetchd::with(["--host-concurrency", "1"])
        .run([origin.url("/slow/300"), origin.url("/status/404"), "example.com".into()].join("\n"))
        .summary();
    let counts = ["lines", "ok", "http_error", "failed", "rejected"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1, 0, 1]);
    let slowest = summary["wire_max_ms"].as_f64().unwrap();
    assert!((290.0..5_000.0).contains(&slowest), "{summary:#}");
    assert!(summary["wire_p50_ms"].as_f64().unwrap() <= slowest, "{summary:#}");
}

#[test]
fn sigusr1_during_the_start_does_no_harm() {
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    let fifo = dir.path().join("fetchd.toml");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let mut fetchd = Fetchd::with(["-c".as_ref(), fifo.as_os_str()]).start();
    // It is opened once the process reads its configuration, for which it waits then.
    let mut config = File::options().write(true).open(&fifo).unwrap();
    fetchd.signal(Signal::SIGUSR1);
    config.write_all(b"[sink.all.stdout]\n").unwrap();
    drop(config);
    let ended = fetchd.finish(origin.url("/ok/1"));
    assert_eq!((ended.code, ended.records.len()), (Some(0), 1), "{}", ended.stderr);
}

#[test]
fn sigterm_ends_an_idle_process_at_once_though_stdin_stays_open() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::local().start();
    fetchd.line(&origin.url("/ok/1"));
    fetchd.record();
    let start = Instant::now();
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
}

#[test]
fn sigterm_under_load_finishes_all_that_was_accepted_and_nothing_else() {
    let origin = Origin::start();
    let config = "queue.window = 200";
    let mut fetchd = Fetchd::local().config(config).start();
    // A second handle keeps the pipe open after the producer is done.
    let stdin = fetchd.stdin.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
    let _producer = fetchd.write_all(lines(&origin, "/slow/20", 5_000).into());
    let mut records: Vec<_> = (0..20).map(|_| fetchd.record()).collect();
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    drop(stdin);

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let accepted = ended.summary()["lines"].as_u64().unwrap();
    assert!(accepted < 5_000, "it was to be stopped on the way");
    records.extend(ended.records);
    assert_eq!(records.len() as u64, accepted);
    assert_eq!(records.iter().map(seq).collect::<BTreeSet<_>>(), (1..=accepted).collect());
    assert!(records.iter().all(|record| record["outcome"] == "ok"));
    let said = ended.stderr.lines().find(|line| line.contains("finishing ")).expect("the signal is answered");
    assert!(
        said.contains(" lines (at most 30 s; signal again to stop now)") && !said.contains("finishing 0"),
        "{said}"
    );
}

#[test]
fn what_the_grace_period_does_not_finish_is_written_as_canceled_with_exit_4() {
    let origin = Origin::start();
    let mut fetchd = hanging(&origin, 5, "shutdown.grace = '1s'");
    let start = Instant::now();
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    let took = start.elapsed();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(2) + SLACK, "{took:?}");
    assert!(ended.records.iter().all(|record| kind(record) == "canceled" && record["attempts"] == 1));
    assert_eq!((ended.records.len(), ended.count("canceled")), (5, 5));
}

#[test]
fn lines_that_wait_for_another_attempt_are_canceled_on_time_too() {
    let origin = Origin::start();
    let config = "shutdown.grace = '1s'\nretry = { backoff = '60s' }";
    let mut fetchd = Fetchd::local().config(config).start();
    for path in ["/status/500", "/retry-after/503/60", "/ok/1"] {
        fetchd.line(&origin.url(path));
    }
    origin.wait_for_requests(2);
    let start = Instant::now();
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(start.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", start.elapsed());
    assert_eq!(ended.summary()["lines"], ended.records.len());
    assert!(ended.count("canceled") >= 2, "{:#?}", ended.records);
}

#[test]
fn the_second_signal_stops_at_once_with_exit_130() {
    let origin = Origin::start();
    let mut fetchd = hanging(&origin, 1, "");
    let start = Instant::now();
    fetchd.signal(Signal::SIGINT);
    fetchd.message("finishing 1 ");
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(130), 0), "{}", ended.stderr);
    assert!(start.elapsed() < SLACK);
}

#[test]
fn fail_lets_every_line_finish_and_exits_with_3() {
    let origin = Origin::start();
    let input = lines(&origin, "/ok/1", 20);
    assert_eq!(Fetchd::with(["--fail"]).run(input.as_str()).code, Some(0));
    let ended = Fetchd::with(["--fail"]).run(origin.url("/status/404") + "\n" + &input);
    assert_eq!((ended.code, ended.count("ok")), (Some(3), 20));
}

#[test]
fn fail_fast_cancels_the_rest_and_exits_with_3_though_stdin_stays_open() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::with(["--fail-fast"]).start();
    for path in ["/hang?1", "/hang?2", "/ok/3"] {
        fetchd.line(&origin.url(path));
    }
    assert_eq!(fetchd.record()["outcome"], "ok");
    fetchd.line(&origin.url("/status/404"));
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(3), 3), "{}", ended.stderr);
    assert_eq!((seq(&ended.records[0]), kind(&ended.records[0])), (4, "http_status"));
    assert_eq!(ended.count("canceled"), 2);
}

#[test]
fn a_reader_that_leaves_ends_the_run_with_one_message_and_exit_1() {
    let origin = Origin::start();
    let (mut fetchd, stdout) = Fetchd::local().start_unread();
    drop(stdout);
    // More than one, for a child that another test is just starting may still hold the pipe's other end.
    let _producer = fetchd.write_all(lines(&origin, "/slow/20", 200).into());
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("standard output was closed by its reader"), "{}", ended.stderr);
}

#[test]
fn an_output_that_nobody_reads_holds_up_the_producer_and_not_the_end() {
    let origin = Origin::start();
    let config = "shutdown.grace = '1s'\nqueue = { window = 100, capacity = 10 }";
    let (mut fetchd, stdout) = Fetchd::with(["--host-concurrency", "64"]).config(config).start_unread();
    let line = origin.url(&format!("/ok/1?{}\n", "x".repeat(1000)));
    let taken = fill(fetchd.stdin.as_mut().unwrap(), line.as_bytes(), 8 << 20);
    assert!(taken < 1 << 20, "{taken} bytes were taken in, of which none can be got rid of");

    let start = Instant::now();
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(start.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", start.elapsed());
    drop(stdout);
}

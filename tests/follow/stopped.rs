//! The first signal to a run with a data directory: what is on the wire ends, and all else is left for the next start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::Semaphore;

use crate::common::fetchd::Ended;
use crate::common::origin::{Script, Step, ok_with, send};
use crate::scenario::{Scenario, line, lines};

const STATE: [&str; 4] = ["-i", "urls", "--data-dir", "state"];

/// Four requests at once.
const FOUR: [&str; 2] = ["--host-concurrency", "4"];

/// Retries come long after the grace period.
const LATE: &str = "retry.backoff = '10m'\nretry.max_backoff = '10m'\nfetch.deadline = '1h'\n";

/// The numbers of lines with these answers.
fn numbers(ended: &Ended) -> Vec<u64> {
    let mut numbers: Vec<u64> = ended.records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// The answer of `/ok/N`, once the gate is open.
fn behind(gate: &Arc<Semaphore>, n: u64) -> Script {
    let json = format!("{{\"n\":{n}}}");
    let answer = ok_with("content-type: application/json\r\n", json.as_bytes());
    vec![Step::WaitInLine(Arc::clone(gate), Duration::ZERO), send(answer)]
}

#[test]
fn what_is_on_the_wire_ends_and_all_else_waits_for_the_next_start() {
    let (scenario, gate) = (Scenario::new(), Arc::new(Semaphore::new(0)));
    scenario.append("urls", 1..=100);
    for n in 1..=100 {
        scenario.origin.play(&format!("/ok/{n}"), behind(&gate, n));
    }
    let mut running = scenario.fetchd(&[&STATE[..], &FOUR].concat()).start();
    scenario.origin.wait_for_requests(4);
    running.signal(Signal::SIGTERM);
    let said = running.message("finishing ");
    gate.add_permits(100);
    let ended = running.wait();
    assert_eq!((ended.code, lines(&ended).len()), (Some(0), 4), "{}", ended.stderr);
    // Some of the file may not have been read yet.
    let [left, unread, unrecorded] = ["left", "unread", "unrecorded"].map(|key| ended.summary()[key].as_u64().unwrap());
    assert_eq!((left + unread, unrecorded), (96, 0), "{}", ended.stderr);
    let sentence = format!("finishing 4 requests; {left} lines wait for the next start (at most 30 s; ");
    assert!(said.contains(&sentence), "{said}");
    assert_eq!(scenario.origin.requests().len(), 4);

    let next = scenario.resume("urls");
    let all: BTreeSet<_> = ended.records.iter().chain(&next.records).map(line).collect();
    assert_eq!((all.len(), scenario.origin.requests().len()), (100, 100));
}

#[test]
fn a_line_that_would_be_sent_again_is_left_whatever_it_met() {
    let scenario = Scenario::new();
    let origin = &scenario.origin;
    let cases = [
        origin.url("/status/500"),
        origin.url("/retry-after/503/1"),
        origin.url("/close"),
        origin.url("/ok/4"),
        origin.url("/status/404"),
    ];
    std::fs::write(scenario.path("urls"), cases.join("\n") + "\n").unwrap();
    let mut running = scenario.fetchd(&STATE).config(LATE).start();
    let mut done = [running.record()["seq"].as_u64(), running.record()["seq"].as_u64()];
    done.sort_unstable();
    assert_eq!(done, [Some(4), Some(5)]);
    running.signal(Signal::SIGINT);
    let ended = running.wait();
    assert_eq!(
        (ended.code, ended.records.len(), &ended.summary()["left"]),
        (Some(0), 0, &3.into()),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("have no record"), "{}", ended.stderr);
    let again = scenario.fetchd(&STATE).config("retry.retries = 0").run("");
    assert_eq!(numbers(&again), [1, 2, 3]);
}

#[test]
fn a_redirect_that_comes_after_the_signal_is_not_followed() {
    let (scenario, gate) = (Scenario::new(), Arc::new(Semaphore::new(0)));
    let to = scenario.origin.url("/ok/1");
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let wait = Step::WaitInLine(Arc::clone(&gate), Duration::ZERO);
    let url = scenario.origin.play("/moved", [wait, send(redirect)]);
    std::fs::write(scenario.path("urls"), url + "\n").unwrap();
    let mut running = scenario.fetchd(&STATE).start();
    scenario.origin.wait_for_requests(1);
    running.signal(Signal::SIGTERM);
    running.message("finishing 1 request (at most ");
    gate.add_permits(2);
    let ended = running.wait();
    assert_eq!(
        (ended.code, ended.records.len(), &ended.summary()["left"]),
        (Some(0), 0, &1.into()),
        "{}",
        ended.stderr
    );
    assert_eq!(scenario.origin.requests().len(), 1);
    assert_eq!(lines(&scenario.resume("urls")), [(1, 1)]);
}

#[test]
fn in_order_the_records_behind_a_line_that_stays_are_written_at_the_end() {
    let scenario = Scenario::new();
    scenario.origin.play_in_turn("/ok/1", [vec![Step::Close], behind(&Arc::new(Semaphore::new(9)), 1)]);
    scenario.append("urls", 1..=3);
    let args = [&STATE[..], &["--ordered"]].concat();
    let mut running = scenario.fetchd(&args).config(LATE).start();
    scenario.origin.wait_for_requests(3);
    scenario.origin.wait_for_closes(1);
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, lines(&ended)), (Some(0), vec![(2, 2), (3, 3)]), "{}", ended.stderr);
    assert_eq!(lines(&scenario.resume("urls")), [(1, 1)]);
}

#[test]
fn what_is_left_of_files_is_counted_with_and_without_a_data_directory() {
    let (scenario, gate) = (Scenario::new(), Arc::new(Semaphore::new(0)));
    scenario.append("urls", 1..=5000);
    scenario.append("more", 5001..=9000);
    for n in 1..=20 {
        scenario.origin.play(&format!("/ok/{n}"), behind(&gate, n));
    }
    for (args, left) in [(&["--data-dir", "state"][..], 6), (&[], 0)] {
        let args = [&["-i", "urls", "-i", "more"], args, &FOUR].concat();
        let served = scenario.origin.requests().len();
        let mut running = scenario.fetchd(&args).config("queue.window = 10").start();
        scenario.origin.wait_for_requests(served + 4);
        running.signal(Signal::SIGTERM);
        running.message("finishing ");
        gate.add_permits(20);
        let ended = running.wait();
        assert_eq!((ended.code, ended.records.len()), (Some(0), 10 - left), "{}", ended.stderr);
        let summary = ended.summary();
        assert_eq!((&summary["left"], &summary["unread"]), (&left.into(), &8990.into()), "{}", ended.stderr);
        gate.forget_permits(100);
    }
}

#[test]
fn the_summary_of_a_stopped_run_begins_with_the_lines_that_have_a_record() {
    let (scenario, gate) = (Scenario::new(), Arc::new(Semaphore::new(0)));
    scenario.append("urls", 1..=5000);
    for n in 1..=4 {
        scenario.origin.play(&format!("/ok/{n}"), behind(&gate, n));
    }
    let config = "queue.window = 2000\nlog.format = 'text'";
    let mut running = scenario.fetchd(&[&STATE[..], &FOUR].concat()).config(config).start();
    scenario.origin.wait_for_requests(4);
    running.signal(Signal::SIGTERM);
    running.message("finishing ");
    gate.add_permits(4);
    let ended = running.wait();
    let first = ended.stderr.lines().find(|line| line.contains(" lines in ")).unwrap_or_default();
    // For example: 4 of 2,000 lines in 143 ms (28/s)
    let words: Vec<String> = first.split([' ', '(', '/']).map(|word| word.replace(',', "")).collect();
    let number = |word: usize| words.get(word).and_then(|word| word.parse::<f64>().ok()).unwrap_or(f64::NAN);
    assert_eq!((ended.code, words[..2].join(" ")), (Some(0), "4 of".to_owned()), "{}", ended.stderr);
    assert!(number(2) > 4.0, "{first}");
    let seconds = if words[6] == "ms" { number(5) / 1000.0 } else { number(5) };
    assert!((number(8) * seconds - 4.0).abs() < 0.5, "{first}");

    // Where each line has its record, the number stands alone.
    let whole = scenario.fetchd(&["-i", "whole"]).config("log.format = 'text'");
    scenario.append("whole", 5..=7);
    let ended = whole.run("");
    assert!(ended.stderr.lines().any(|line| line.starts_with("3 lines in ")), "{}", ended.stderr);
}

#[test]
fn what_outlasts_the_grace_period_is_left_with_exit_4() {
    let scenario = Scenario::new();
    scenario.origin.play("/ok/2", [Step::Stall]);
    scenario.append("urls", 1..=3);
    let mut running = scenario.fetchd(&STATE).config("shutdown.grace = '100ms'").start();
    running.record();
    running.record();
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, &ended.summary()["left"]), (Some(4), &1.into()), "{}", ended.stderr);
}

//! Bodies that take long: what comes fast enough is waited for, and what does not ends, without a word against its host.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::fetchd::seq;
use crate::common::origin::{Origin, Script, Step, send};
use crate::scenario::{Fate, fate, fates, fetchd, provoke, seen};

/// The head of a body that only the close ends.
const OPEN: &str = "HTTP/1.1 200 OK\r\n\r\n";

/// The head of a gzip member, and a block of it that has no bytes.
const GZIP: ([u8; 10], [u8; 5]) = ([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], [0, 0, 0, 0xff, 0xff]);

fn message(record: &Value) -> &str {
    record["error"]["message"].as_str().unwrap()
}

/// So many bytes every 20 ms, so many times.
fn flow(bytes: usize, times: usize) -> Script {
    let pieces = (0..times).flat_map(|_| [Step::Wait(Duration::from_millis(20)), send("x".repeat(bytes))]);
    std::iter::once(send(OPEN)).chain(pieces).chain([Step::Close]).collect()
}

/// So many bytes every 20 ms, without end.
fn endless(bytes: usize) -> Script {
    vec![send(OPEN), Step::Repeat(vec![Step::Wait(Duration::from_millis(20)), send("x".repeat(bytes))])]
}

#[test]
fn a_body_may_take_longer_than_the_timeout_if_it_comes_fast_enough() {
    let origin = Origin::start();
    let urls = [
        origin.play("/flows", flow(1000, 60)),
        origin.play(
            "/waits",
            [send(OPEN), Step::Wait(Duration::from_millis(700)), send("y".repeat(60_000)), Step::Close],
        ),
    ];
    let records = provoke(fetchd(["--timeout", "300ms"], "fetch.speed_time = '1s'\n"), urls);
    assert_eq!(fates(&records), [("ok", "", 1); 2], "{records:#?}");
    assert_eq!([&records[0]["bytes"], &records[1]["bytes"]], [&json!(60_000), &json!(60_000)]);
}

#[test]
fn a_body_that_is_too_slow_is_named_with_its_key_and_its_head() {
    let origin = Origin::start();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
    let urls = [
        origin.play("/drips", endless(1)),
        origin.play("/stalls", [send(OPEN), send("x".repeat(50_000)), Step::Stall]),
        origin.play("/never", [send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"), Step::Stall]),
        origin.play("/chunks", [send(chunked), Step::Stall]),
    ];
    let records = provoke(fetchd(["--retries", "0"], "fetch.speed_time = '300ms'\n"), urls);
    for record in &records {
        assert_eq!((fate(record), &record["status"]), (("failed", "timeout", 1), &json!(200)), "{record:#}");
        let message = record["error"]["message"].as_str().unwrap();
        assert_eq!(message, "the body came more slowly than 1KiB/s over 300ms (fetch.min_speed)");
    }
}

#[test]
fn without_a_least_speed_the_deadline_ends_a_body() {
    let origin = Origin::start();
    let urls = [origin.play("/drips", endless(1)), origin.play("/stalls", [send(OPEN), Step::Stall])];
    let config = "fetch = { min_speed = '0', speed_time = '100ms', deadline = '700ms' }\n";
    let records = provoke(fetchd([], config), urls);
    assert_eq!(fates(&records), [("failed", "deadline", 1); 2], "{records:#?}");
    assert_eq!(records[0]["status"], 200);
}

#[test]
fn hosts_and_lines_have_limits_of_their_own() {
    let (origin, slow) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
    let late = [Step::Wait(Duration::from_millis(600)), send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")];
    let long = || [send(OPEN), send("x".repeat(3000)), Step::Close];
    let line = |url: String, more: &str| format!("{{\"url\": \"{url}\", {more}}}");
    let lines = [
        origin.play("/late", late.clone()),
        slow.play("/late", late.clone()),
        line(origin.play("/late-line", late), "\"timeout\": \"20s\""),
        origin.play("/long", long()),
        slow.play("/long", long()),
        line(origin.play("/long-line", long()), "\"max_body\": \"4KiB\""),
        slow.play("/drips", flow(1, 40)),
        line(origin.play("/drips-line", flow(1, 40)), "\"min_speed\": \"0\""),
    ];
    let config = "fetch = { timeout = '250ms', max_body = '2KiB', speed_time = '200ms' }\n\
         hosts.'127.0.0.2' = { timeout = '20s', max_body = '1MiB', min_speed = '0' }\n";
    let records = provoke(fetchd(["--retries", "0"], config), lines);
    let ok = ("ok", "", 1);
    let (late, long) = (("failed", "timeout", 1), ("failed", "body_too_large", 1));
    assert_eq!(fates(&records), [late, ok, ok, long, ok, ok, ok, ok], "{records:#?}");
    assert!(message(&records[0]).contains("(fetch.timeout)"), "{records:#?}");
    assert!(message(&records[3]).contains("raise fetch.max_body,"), "{records:#?}");
}

#[test]
fn a_message_names_the_key_that_holds() {
    let (origin, other) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
    let line = |url: String, more: &str| format!("{{\"url\": \"{url}\", {more}}}");
    let late = || vec![Step::Wait(Duration::from_millis(900)), Step::Close];
    let long = || vec![send(OPEN), send("x".repeat(9000)), Step::Close];
    let zipped = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    let raw = || vec![send(zipped), send(GZIP.0), send(GZIP.1.repeat(20_000)), Step::Close];
    let lines = [
        other.play("/late", late()),
        line(origin.play("/late", late()), "\"timeout\": \"200ms\""),
        other.play("/long", long()),
        line(origin.play("/long", long()), "\"max_body\": \"4KiB\""),
        line(origin.play("/raw", raw()), "\"max_body\": \"4KiB\""),
        other.play("/drips", endless(1)),
        line(origin.play("/drips", endless(1)), "\"min_speed\": \"2KiB/s\""),
        line(origin.play("/later", late()), "\"timeout\": \"1h\""),
    ];
    let config = "fetch = { speed_time = '300ms', deadline = '700ms' }\n\
         hosts.'127.0.0.2' = { timeout = '200ms', max_body = '2KiB', min_speed = '1KiB/s' }\n";
    let records = provoke(fetchd(["--retries", "0"], config), lines);
    let says = [
        "(timeout of [hosts])",
        "(timeout of the line)",
        "raise max_body of [hosts],",
        "raise max_body of the line,",
        "the encoded body is longer than max_body of the line",
        "(min_speed of [hosts])",
        "(min_speed of the line)",
        "(fetch.deadline)",
    ];
    for (record, says) in records.iter().zip(says) {
        assert!(message(record).contains(says), "{says}: {record:#}");
    }
}

#[test]
fn a_limit_that_is_none_rejects_its_line() {
    let lines = [
        r#"{"url": "http://127.0.0.1:1/", "timeout": "soon"}"#,
        r#"{"url": "http://127.0.0.1:1/", "timeout": "0s"}"#,
        r#"{"url": "http://127.0.0.1:1/", "min_speed": "5"}"#,
        r#"{"url": "http://127.0.0.1:1/", "max_body": 5}"#,
        r#"{"url": "http://127.0.0.1:1/", "max_body": "200MiB"}"#,
        r#"{"url": "http://127.0.0.1:1/", "timeout": 5}"#,
        r#"{"url": "http://127.0.0.1:1/", "min_speed": true}"#,
        r#"{"url": "http://127.0.0.1:1/", "method": 1}"#,
        r#"{"url": "http://127.0.0.1:1/", "body_base64": []}"#,
    ];
    let records = provoke(fetchd([], ""), lines);
    assert_eq!(fates(&records), [("rejected", "invalid_request", 0); 9], "{records:#?}");
    let keys =
        ["timeout", "timeout", "min_speed", "max_body", "max_body", "timeout", "min_speed", "method", "body_base64"];
    for (record, key) in records.iter().zip(keys) {
        assert!(message(record).contains(&format!("`{key}`")), "{record:#}");
    }
    assert!(message(&records[0]).contains("is not a duration; write for example"), "{:#}", records[0]);
    let message = message(&records[4]);
    assert!(message.contains("limits.body_memory") && message.contains("128MiB"), "{message}");
}

/// Bodies that take about 2 s, and so outlast this timeout, and how many bytes of them come every 20 ms.
const LONG: (&str, [usize; 4]) = ("400ms", [200, 100, 300, 400]);

fn long(origin: &Origin) -> [String; 4] {
    LONG.1.map(|bytes| origin.play(&format!("/{bytes}"), flow(bytes, 100)))
}

/// With so many requests at once, and the records of these lines in their order.
fn run_at_once(concurrency: u32, config: &str, lines: impl IntoIterator<Item = String>) -> Vec<Value> {
    let config = format!("limits.concurrency = {concurrency}\nfetch.speed_time = '600ms'\n{config}");
    let lines: Vec<_> = lines.into_iter().collect();
    let mut records = fetchd(["--timeout", LONG.0, "--retries", "0"], &config).run(lines.join("\n")).records;
    records.sort_by_key(seq);
    records
}

const OK: Fate = ("ok", "", 1);
const SLOW: Fate = ("failed", "timeout", 1);

#[test]
fn long_bodies_hold_all_requests_while_no_line_waits_for_one() {
    let origin = Origin::start();
    let alone = run_at_once(2, "", long(&origin).into_iter().take(2));
    assert_eq!(fates(&alone), [OK; 2], "two files and nothing else to do: {alone:#?}");
    let all = run_at_once(4, "", long(&origin));
    assert_eq!(fates(&all), [OK; 4], "{all:#?}");
}

#[test]
fn a_line_that_waits_ends_the_slowest_of_the_long_bodies_and_no_other() {
    let origin = Origin::start();
    let records = provoke(
        fetchd(["--timeout", LONG.0, "--retries", "0"], "limits.concurrency = 4\nfetch.speed_time = '600ms'\n"),
        long(&origin),
    );
    assert_eq!(fates(&records), [OK, SLOW, OK, OK], "the last healthy line waits: {records:#?}");
    let message = records[1]["error"]["message"].as_str().unwrap();
    assert!(message.contains("a line waited") && message.contains("the slowest"), "{message}");
    assert_eq!(seen(&origin).0, 4);
}

#[test]
fn while_lines_wait_long_bodies_come_down_to_half_of_the_requests() {
    let (origin, others) = (Origin::start(), Origin::start_at([127, 0, 0, 99]));
    let short = |n: usize| others.play(&format!("/{n}"), flow(1, 15));
    let records = run_at_once(4, "", long(&origin).into_iter().chain((0..8).map(short)));
    assert_eq!(fates(&records[..4]), [SLOW, SLOW, OK, OK], "{records:#?}");
    assert_eq!(fates(&records[4..]), [OK; 8], "{records:#?}");
}

#[test]
fn lines_that_wait_for_something_else_end_no_body() {
    let (origin, others) = (Origin::start(), Origin::start_at([127, 0, 0, 99]));
    let lines = || long(&origin).into_iter().take(3).chain([origin.url("/ok/1")]);
    let host = run_at_once(4, "hosts.'127.0.0.1'.concurrency = 3\n", lines());
    assert_eq!(fates(&host), [OK; 4], "a line of their host waits for hosts.concurrency: {host:#?}");
    let paced = || long(&others).into_iter().take(2).chain([origin.url("/ok/1"), origin.url("/ok/2")]);
    let rate = run_at_once(3, "hosts.'127.0.0.1'.rate = '1/s'\n", paced());
    assert_eq!(fates(&rate), [OK; 4], "a line waits for hosts.rate: {rate:#?}");
}

#[test]
fn workers_and_threads_do_not_change_which_body_ends() {
    let (origin, others) = (Origin::start(), Origin::start_at([127, 0, 0, 99]));
    // Hosts take turns, so the last line waits.
    let lines = || long(&origin).into_iter().skip(1).take(2).chain([1, 2].map(|n| others.url(&format!("/ok/{n}"))));
    for config in ["fetch.workers = 2\n", "fetch.workers = 2\nfetch.threads = 2\n"] {
        let records = run_at_once(64, config, lines());
        assert_eq!(fates(&records), [SLOW, OK, OK, OK], "with {config}: {records:#?}");
    }
}

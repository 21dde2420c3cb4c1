//! Bodies that take long: what comes fast enough is waited for, and what does not ends, without a word against its host.

use std::time::Duration;

use serde_json::json;

use crate::common::origin::{Origin, Script, Step, send};
use crate::scenario::{fate, fates, fetchd, provoke, seen};

/// The head of a body that only the close ends.
const OPEN: &str = "HTTP/1.1 200 OK\r\n\r\n";

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
}

#[test]
fn a_limit_that_is_none_rejects_its_line() {
    let lines = [
        r#"{"url": "http://127.0.0.1:1/", "timeout": "soon"}"#,
        r#"{"url": "http://127.0.0.1:1/", "timeout": "0s"}"#,
        r#"{"url": "http://127.0.0.1:1/", "min_speed": "5"}"#,
        r#"{"url": "http://127.0.0.1:1/", "max_body": 5}"#,
        r#"{"url": "http://127.0.0.1:1/", "max_body": "200MiB"}"#,
    ];
    let records = provoke(fetchd([], ""), lines);
    assert_eq!(fates(&records), [("rejected", "invalid_request", 0); 5], "{records:#?}");
    let message = records[4]["error"]["message"].as_str().unwrap();
    assert!(message.contains("limits.body_memory") && message.contains("128MiB"), "{message}");
}

#[test]
fn long_bodies_hold_at_most_half_of_the_requests_and_the_slowest_gives_way() {
    let (origin, config) = (Origin::start(), "limits.concurrency = 4\nfetch.speed_time = '600ms'\n");
    let speeds = [200, 100, 300, 400];
    let urls = speeds.map(|bytes| origin.play(&format!("/{bytes}"), flow(bytes, 100)));
    let records = provoke(fetchd(["--timeout", "400ms", "--retries", "0"], config), urls);
    let slow = ("failed", "timeout", 1);
    assert_eq!(fates(&records), [slow, slow, ("ok", "", 1), ("ok", "", 1)], "{records:#?}");
    let message = records[1]["error"]["message"].as_str().unwrap();
    assert!(message.contains("more than 2 bodies") && message.contains("the slowest"), "{message}");
    assert_eq!(seen(&origin).0, 4);
}

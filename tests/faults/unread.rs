//! Bodies that neither a record nor a decision needs: whatever they are, they decide nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::curl::curl;
use crate::common::fetchd::kind;
use crate::common::origin::{Origin, Script, Step, ok_with, send};
use crate::scenario::{fates, fetchd, provoke};

/// An answer with these header lines, each ended with CRLF, whose body is still to come.
fn head(status: u16, lines: &str) -> Step {
    send(format!("HTTP/1.1 {status} Scripted\r\n{lines}\r\n"))
}

/// Bodies that no record could show: further header lines, and what comes after the head.
fn bodies() -> Vec<(&'static str, &'static str, Script)> {
    let drip = Step::Repeat(vec![send("x"), Step::Wait(Duration::from_millis(20))]);
    vec![
        ("short", "content-length: 9\r\n", vec![send("x"), Step::Close]),
        ("reset", "content-length: 9\r\n", vec![send("x"), Step::Reset]),
        ("missing", "content-length: 9\r\n", vec![Step::Stall]),
        ("dripping", "", vec![drip]),
        ("long", "content-length: 20000000\r\n", vec![send(vec![b'x'; 20_000_000])]),
        ("endless", "", vec![Step::Repeat(vec![send([b'x'; 4096])])]),
        ("endless chunks", "transfer-encoding: chunked\r\n", vec![Step::Repeat(vec![send("1\r\nx\r\n")])]),
        ("no chunk", "transfer-encoding: chunked\r\n", vec![send("zz\r\n"), Step::Close]),
        ("not gzip", "content-encoding: gzip\r\ncontent-length: 5\r\n", vec![send("plain")]),
        ("coded too often", "content-encoding: br, br, br, br\r\ncontent-length: 5\r\n", vec![send("plain")]),
    ]
}

/// Plays each body after a head with this status and these header lines the first time, and then a 200.
fn play(origin: &Origin, status: u16, lines: &str) -> Vec<String> {
    let bodies = bodies().into_iter().enumerate();
    bodies
        .map(|(n, (_, more, body))| {
            let answer = [vec![head(status, &format!("{lines}{more}"))], body].concat();
            origin.play_in_turn(&format!("/{status}/{n}"), [answer, vec![send(ok_with("", b"at last"))]])
        })
        .collect()
}

/// A body that stalls is too slow soon enough for a test.
const SLOW: &str = "fetch.speed_time = '500ms'\n";

#[test]
fn a_redirect_is_followed_once_its_head_is_there() {
    let origin = Origin::start();
    let target = origin.play("/target", [send(ok_with("", b"there"))]);
    for status in [301, 302, 303, 307, 308] {
        let urls = play(&origin, status, &format!("location: {target}\r\n"));
        let start = Instant::now();
        let records = provoke(fetchd(["--timeout", "5s", "--retries", "0"], ""), urls);
        assert!(start.elapsed() < Duration::from_secs(5), "no body was waited for");
        assert_eq!(fates(&records), [("ok", "", 1)].repeat(records.len()), "{records:#?}");
        for record in &records {
            assert_eq!((&record["body"], &record["hops"][0]["status"]), (&json!("there"), &json!(status)));
        }
    }
}

/// curl ignores what comes with a redirect, but waits for it: without its time limit only these would be comparable.
#[test]
fn curl_follows_a_redirect_whose_body_is_short_or_cannot_be_decoded() {
    let origin = Origin::start();
    let target = origin.play("/target", [send(ok_with("", b"there"))]);
    for lines in ["content-encoding: gzip\r\ncontent-length: 5\r\n", "content-encoding: utf-8\r\ncontent-length: 5\r\n"]
    {
        let url = origin.play("/from", [head(302, &format!("location: {target}\r\n{lines}")), send("plain")]);
        let theirs = curl(&url, &["--location", "--compressed"]);
        assert_eq!((theirs.exit, theirs.body), (0, b"there".to_vec()));
        let records = provoke(fetchd([], ""), [url]);
        assert_eq!(records[0]["body"], "there");
    }
}

#[test]
fn a_redirect_that_is_not_followed_is_an_answer_like_any_other() {
    let origin = Origin::start();
    let urls = play(&origin, 302, "location: /target\r\n");
    let args = ["--timeout", "500ms", "--retries", "0", "--max-redirects", "0", "--max-body", "1MiB"];
    let records = provoke(fetchd(args, SLOW), urls);
    assert!(records.iter().all(|record| record["outcome"] == "failed" && record["status"] == 302), "{records:#?}");
}

/// The refusal is the error, not the body that nobody waited for.
#[test]
fn a_redirect_that_is_refused_says_so_whatever_its_body() {
    let origin = Origin::start();
    let urls = play(&origin, 302, "location: ftp://127.0.0.1/\r\n");
    let records = provoke(fetchd(["--timeout", "5s"], ""), urls);
    assert_eq!(fates(&records), [("failed", "scheme_not_allowed", 1)].repeat(records.len()));
}

#[test]
fn a_redirect_whose_framing_could_be_read_in_two_ways_is_not_followed() {
    let origin = Origin::start();
    let lines = "location: /target\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n";
    let records = provoke(fetchd([], ""), [origin.play("/", [head(302, lines), send("1\r\nx\r\n0\r\n\r\n")])]);
    assert_eq!(fates(&records), [("failed", "protocol", 1)]);
}

/// The body is short, so the redirect's connection serves the next request, too.
#[test]
fn the_connection_of_a_redirect_is_used_again_when_its_body_is_short() {
    let origin = Origin::start();
    let url = origin.play(
        "/from",
        [
            head(302, "location: /ok/1\r\ncontent-length: 9000\r\n"),
            Step::Wait(Duration::from_millis(20)),
            send([b'x'; 9000]),
        ],
    );
    let records = provoke(fetchd([], ""), [url]);
    assert_eq!((fates(&records), origin.accepts()), (vec![("ok", "", 1)], 1));
}

/// But for those that never end: where a record could still have to show it, a body is received as far as it may be.
#[test]
fn an_answer_that_is_retried_is_retried_by_its_status() {
    let origin = Origin::start();
    for (status, retry_after) in [(503, "retry-after: 0\r\n"), (429, "retry-after: 0\r\n"), (500, "")] {
        let urls = play(&origin, status, retry_after);
        let args = ["--timeout", "500ms", "--retries", "1", "--max-body", "1MiB"];
        let records = provoke(fetchd(args, SLOW), urls);
        for (record, (name, ..)) in records.iter().zip(bodies()) {
            let want: Value = if name == "no chunk" { json!("failed") } else { json!("ok") };
            assert_eq!(record["outcome"], want, "{status} {name} {record:#}");
        }
    }
}

/// A Retry-After is for the whole host, and not charged, also without a body.
#[test]
fn a_retry_after_is_honoured_whatever_comes_after_the_head() {
    let origin = Origin::start();
    let busy = head(429, "retry-after: 1\r\ncontent-length: 9\r\n");
    let url = origin.play_in_turn("/busy", [vec![busy, Step::Close], vec![send(ok_with("", b"now"))]]);
    let args = ["--retries", "1", "--host-concurrency", "1"];
    let records = provoke(fetchd(args, ""), [url, origin.url("/ok/1")]);
    assert_eq!(fates(&records), [("ok", "", 2), ("ok", "", 1)]);
    let requests = origin.requests();
    assert!(requests[1].at - requests[0].not_before >= Duration::from_millis(990));
}

#[test]
fn the_last_answer_is_shown_only_if_it_is_whole() {
    let origin = Origin::start();
    let url = origin.play("/", [head(503, "content-length: 9\r\n"), Step::Close]);
    let records = provoke(fetchd(["--retries", "1"], ""), [url]);
    assert_eq!((fates(&records), &records[0]["status"]), (vec![("failed", "body_incomplete", 2)], &json!(503)));
}

#[test]
fn a_robots_txt_that_is_missing_or_elsewhere_is_so_whatever_its_body() {
    for status in [404, 302] {
        for (name, more, body) in bodies().into_iter().filter(|(name, ..)| *name != "no chunk") {
            let origin = Origin::start();
            let lines = format!("location: /rules\r\n{more}");
            origin.play("/robots.txt", [vec![head(status, &lines)], body].concat());
            origin.play("/rules", [send(ok_with("", b"User-agent: *\nDisallow: /ok/2\n"))]);
            let args = ["--timeout", "500ms", "--retries", "0", "--max-body", "1MiB"];
            let urls = [origin.url("/ok/1"), origin.url("/ok/2")];
            let ended = fetchd(args, &format!("{SLOW}robots.enabled = true\n")).run(urls.join("\n"));
            let kinds: Vec<_> = ended.records.iter().map(kind).filter(|kind| !kind.is_empty()).collect();
            let want: &[&str] = if status == 302 { &["robots_denied"] } else { &[] };
            assert_eq!(kinds, want, "{status} {name}: {ended:?}");
        }
    }
}

//! Kept connections that the server has closed by the time that the next request comes: no fault of any line.
//!
//! Streams of HTTP/2 that a new connection refuses are in `tests/daemon/http2.rs`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::fetchd::Fetchd;
use crate::common::frames::{Act, Frames, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM};
use crate::common::origin::{Origin, Script, Step, ok_with, send};
use crate::common::trust;
use crate::scenario::{Trust, fates, fetchd, provoke};

/// One line after the other, and not one retry.
const IN_TURN: [&str; 4] = ["--host-concurrency", "1", "--retries", "0"];

fn ok() -> Step {
    send(ok_with("", b"whole"))
}

/// A connection with this many answers, and then this end, which meets the request after them.
fn answers_then(count: usize, end: &[Step]) -> Script {
    let answers = std::iter::repeat_n([Step::Read, ok()], count).flatten();
    answers.chain(end.iter().cloned()).collect()
}

fn lines(origin: &Origin, count: usize) -> Vec<String> {
    (0..count).map(|n| origin.url(&format!("/{n}"))).collect()
}

fn assert_unharmed(records: &[Value]) {
    for record in records {
        assert_eq!(
            (&record["outcome"], &record["attempts"], &record["body"]),
            (&json!("ok"), &json!(1), &json!("whole"))
        );
    }
}

/// How a server ends a kept connection when another request has come.
fn ends() -> Vec<(&'static str, Vec<Step>)> {
    let tired = "HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let old = "HTTP/1.0 408 Request Time-out\r\ncache-control: no-cache\r\n\r\nlate";
    vec![
        ("unread", vec![Step::ReadSome, Step::Close]),
        ("fin", vec![Step::Read, Step::Close]),
        ("rst", vec![Step::Read, Step::Reset]),
        ("without close_notify", vec![Step::Read, Step::Cut]),
        ("408", vec![Step::Read, send(tired), Step::Close]),
        ("408 of HTTP/1.0", vec![Step::Read, send(old), Step::Close]),
    ]
}

#[test]
fn a_request_that_meets_the_end_of_a_kept_connection_goes_out_again_and_is_charged_nothing() {
    let trust = Trust::new();
    for (end, steps) in ends() {
        for origin in [Origin::start(), trust.origin()] {
            for answers in [1, 3] {
                origin.on_accept([answers_then(answers, &steps)]);
                let before = origin.accepts();
                let records = provoke(fetchd(IN_TURN, &trust.config), lines(&origin, 12));
                assert_unharmed(&records);
                // Each connection but the last met one request too many, which then had one of its own.
                let rounds = 12 / (answers + 1);
                assert_eq!(origin.accepts() - before, 2 * rounds, "{end}, {answers}");
            }
        }
    }
}

#[test]
fn a_record_says_that_its_request_went_over_a_kept_connection() {
    let origin = Origin::start();
    origin.on_accept([answers_then(2, &[Step::Read, Step::Close])]);
    let records = provoke(fetchd(IN_TURN, ""), lines(&origin, 4));
    let reused: Vec<_> = records.iter().map(|record| record.get("reused")).collect();
    assert_eq!(reused, [None, Some(&json!(true)), None, None]);
}

#[test]
fn connections_that_close_right_after_each_answer_fail_no_line_of_many_at_once() {
    let origin = Origin::start();
    let shortly = Step::Wait(Duration::from_millis(2));
    origin.on_accept([answers_then(1, &[shortly, Step::Close])]);
    let records = provoke(Fetchd::with(["--retries", "0"]), lines(&origin, 200));
    assert_unharmed(&records);
}

#[test]
fn a_large_request_whose_kept_connection_closes_under_it_goes_out_again() {
    let origin = Origin::start();
    origin.on_accept([answers_then(1, &[Step::ReadSome, Step::Reset])]);
    let put = |n: usize| {
        json!({ "url": origin.url(&format!("/{n}")), "method": "PUT", "body": "x".repeat(900_000) }).to_string()
    };
    assert_unharmed(&provoke(fetchd(IN_TURN, ""), (0..6).map(put).collect::<Vec<_>>()));
}

/// The server answers a request before it has read all of it, and reads no more of that connection.
#[test]
fn a_request_whose_body_was_not_wanted_is_in_the_way_of_no_other() {
    let origin = Origin::start();
    let refused = "HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n";
    origin.on_accept([vec![Step::ReadSome, send(refused), Step::Stall], answers_then(2, &[Step::Close])]);
    let put = json!({ "url": origin.url("/put"), "method": "PUT", "body": "x".repeat(5_000_000) }).to_string();
    let config = "[source.in.stdin]\nmax_line = '8MiB'\n";
    let records = provoke(fetchd(IN_TURN, config), [put, origin.url("/1"), origin.url("/2")]);
    assert_eq!(fates(&records), [("http_error", "http_status", 1), ("ok", "", 1), ("ok", "", 1)], "{records:#?}");
}

#[test]
fn a_request_that_must_not_be_sent_twice_is_sent_once_over_a_new_connection() {
    let origin = Origin::start();
    origin.on_accept([answers_then(1, &[Step::Read, Step::Close])]);
    let line = |n: usize| match n % 2 {
        0 => json!({ "url": origin.url(&format!("/{n}")), "method": "POST", "body": "once" }).to_string(),
        _ => origin.url(&format!("/{n}")),
    };
    let records = provoke(fetchd(IN_TURN, ""), (0..12).map(line).collect::<Vec<_>>());
    assert_unharmed(&records);
    let requests = origin.requests();
    for n in (0..12).step_by(2) {
        let path = format!("/{n}");
        let sent: Vec<_> = requests.iter().filter(|request| request.path() == path).collect();
        assert_eq!((sent.len(), sent[0].header("connection")), (1, Some("close")), "{path}");
    }
}

#[test]
fn a_request_that_goes_out_again_keeps_its_distance_to_the_first() {
    const EVERY: Duration = Duration::from_millis(200);
    let origin = Origin::start();
    origin.on_accept([answers_then(1, &[Step::Read, Step::Close])]);
    let args = ["--host-rate", "5/s", "--retries", "0"];
    assert_unharmed(&provoke(fetchd(args, ""), lines(&origin, 4)));
    let requests = origin.requests();
    assert_eq!(requests.len(), 4 + 2);
    for pair in requests.windows(2) {
        assert!(pair[1].at - pair[0].not_before + Duration::from_millis(10) >= EVERY, "{pair:#?}");
    }
}

/// It is the first attempt, and so are the answers to it.
#[test]
fn a_new_connection_that_fails_is_a_failure_like_any_other() {
    let origin = Origin::start();
    let never = vec![Step::Read, Step::Close];
    origin.on_accept([answers_then(1, &never), never]);
    let args = ["--host-concurrency", "1", "--retries", "1"];
    let records = provoke(fetchd(args, ""), lines(&origin, 3));
    assert_eq!(fates(&records), [("ok", "", 1), ("failed", "reset", 2), ("failed", "reset", 2)]);
    assert_eq!(origin.requests().len(), 1 + 1 + 2 + 2);
}

#[test]
fn an_answer_that_was_begun_on_a_kept_connection_is_not_asked_for_again_for_nothing() {
    let origin = Origin::start();
    let begun = send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun");
    let nonsense = send("not HTTP at all\r\n\r\n");
    for (answer, kind) in [(begun, "body_incomplete"), (nonsense, "protocol")] {
        origin.on_accept([answers_then(1, &[Step::Read, answer, Step::Close])]);
        let records = provoke(fetchd(IN_TURN, ""), lines(&origin, 2));
        assert_eq!(fates(&records), [("ok", "", 1), ("failed", kind, 1)]);
    }
}

#[test]
fn a_408_on_a_new_connection_is_the_servers_answer() {
    let origin = Origin::start();
    let tired = "HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    origin.on_accept([vec![Step::Read, send(tired), Step::Close]]);
    let records = provoke(fetchd(IN_TURN, ""), lines(&origin, 1));
    assert_eq!(fates(&records), [("http_error", "http_status", 1)]);
}

/// What it forwards is its own business; the connection is the one to the proxy.
#[test]
fn a_proxy_that_closes_its_kept_connections_fails_no_line() {
    let (proxy, healthy) = (Origin::start(), "http://host.test");
    proxy.on_accept([answers_then(2, &[Step::Read, Step::Close])]);
    let through = format!("http://{}", proxy.authority());
    let args = ["--proxy", &through, "--host-concurrency", "1", "--retries", "0"];
    let input: String = (0..9).map(|n| format!("{healthy}/{n}\n")).collect();
    let ended = fetchd(args, "").run(input);
    assert_eq!(ended.records.len(), 9);
    assert_unharmed(&ended.records);
}

/// A stream, or all of them, that the server no longer takes on a connection that served others before.
#[test]
fn a_connection_of_http_2_that_goes_away_fails_no_line() {
    const HTTP2: &str = "fetch.http2 = true\nhosts.'*'.concurrency = 1\n";
    const WHOLE: &[Act] = &[Act::Head, Act::LastData(b"whole")];
    let trust = trust::Trust::new();
    let ends: [&'static [Act]; 3] = [&[Act::GoAway(NO_ERROR)], &[Act::Reset(REFUSED_STREAM)], &[Act::Cut]];
    for end in ends {
        let server = Frames::start(trust.identity().server(), &[WHOLE, end, WHOLE]);
        let ended = trust.fetchd(HTTP2).run([server.url("/1"), server.url("/2"), server.url("/3")].join("\n"));
        assert_eq!(ended.records.len(), 3, "{}", ended.stderr);
        assert_unharmed(&ended.records);
    }
    // A stream that the server accepted and gave up is an attempt.
    let server = Frames::start(trust.identity().server(), &[WHOLE, &[Act::Reset(INTERNAL_ERROR)], WHOLE]);
    let ended = trust.fetchd(HTTP2).run([server.url("/1"), server.url("/2")].join("\n"));
    assert_eq!(fates(&ended.records), [("ok", "", 1), ("ok", "", 2)]);
}

//! Servers that break HTTP, that take for ever, that send clients round in circles, and that ask to be left alone.
//!
//! Reservation elsewhere: credentials and redirects in `tests/daemon/headers.rs`; what becomes of a POST in
//! `a_303_turns_a_post_into_a_get_without_its_body_and_a_307_repeats_it` and
//! `a_post_is_repeated_when_the_server_says_that_it_did_not_act_on_it` in `tests/daemon/answers.rs`.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::common::origin::{Origin, Step, ok_with, send};
use crate::scenario::{Trust, fates, fetchd, provoke, scripted, seen};

/// Clocks are read one after the other, and timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// An answer with these further header lines, each ended with CRLF.
fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn an_answer_that_is_not_http_fails_the_line_at_once_and_nothing_of_it_is_shown() {
    let framed = |headers: &str, body: &str| format!("{OK}{headers}\r\n\r\n{body}");
    let chunked = |body: &str| framed("transfer-encoding: chunked", body);
    let answers = [
        "garbage\r\n\r\n".to_owned(),
        "<html>a server of 1991</html>".repeat(100),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "HTTP/1.1 2xx OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/3.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nwhatever".to_owned(),
    ]
    .into_iter()
    .chain([
        framed("content-length: 1\r\ncontent-length: 2", "ab"),
        framed("content-length: 1, 2", "ab"),
        framed("content-length: -1", "ab"),
        framed("content-length: +1", "ab"),
        framed("content-length: 0x1", "ab"),
        framed("content-length: 99999999999999999999999", "ab"),
        framed("content-length: 1\r\ntransfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n"),
        framed("transfer-encoding: chunked\r\ncontent-length: 1", "1\r\na\r\n0\r\n\r\n"),
        framed("transfer-encoding: gzip, chunked", "1\r\na\r\n0\r\n\r\n"),
        framed("transfer-encoding: gzip\r\ntransfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n"),
        framed("transfer-encoding: chunked, chunked", "1\r\na\r\n0\r\n\r\n"),
        framed("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n"),
        framed("transfer-encoding: identity", "ab"),
        framed("transfer-encoding:", "ab"),
        framed("transfer-encoding: xchunked", "1\r\na\r\n0\r\n\r\n"),
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".to_owned(),
    ])
    .chain(["zz\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "-1\r\na\r\n0\r\n\r\n", "\r\na\r\n0\r\n\r\n"].map(chunked))
    .chain([chunked("ffffffffffffffffff\r\na\r\n0\r\n\r\n"), chunked("1 1\r\na\r\n0\r\n\r\n")]);
    let origin = Origin::start();
    let urls = scripted(&origin, answers);
    let records = provoke(fetchd([], ""), &urls);
    for (record, (n, fate)) in records.iter().zip(fates(&records).into_iter().enumerate()) {
        assert_eq!((n, fate), (n, ("failed", "protocol", 1)), "{record:#}");
        assert!(record.get("body").is_none() && record.get("bytes").is_none(), "{record:#}");
        assert_eq!(origin.requests_for(&format!("/{n}")), 1);
    }
    assert_eq!(origin.requests().len(), urls.len());
}

#[test]
fn what_comes_after_an_answer_is_not_the_answer_to_the_next_request() {
    let origin = Origin::start();
    let two = [ok_with("", b"one"), ok_with("", b"poison")].concat();
    let urls = ["/0", "/1", "/2"].map(|path| origin.play(path, [send(two.clone())]));
    let records = provoke(fetchd(["--host-concurrency", "1"], ""), urls);
    assert_eq!(fates(&records), [("ok", "", 1); 3]);
    assert!(records.iter().all(|record| record["body"] == "one"), "{records:#?}");
    assert_eq!(seen(&origin), (3, 3));
}

#[test]
fn a_head_that_is_too_large_fails_the_line_after_a_second_request() {
    let origin = Origin::start();
    let lines = |count: usize| (0..count).map(|n| format!("x-{n}: a\r\n")).collect::<String>();
    let urls = [
        origin.play("/most", [send(ok_with(&lines(999), b"fits"))]),
        origin.play("/many", [send(ok_with(&lines(1000), b"does not fit"))]),
        origin.play("/long", [send(ok_with(&format!("x: {}\r\n", "a".repeat(1 << 20)), b"does not fit"))]),
        origin.play("/endless", [send(format!("{OK}x: ")), Step::Repeat(vec![send(vec![b'a'; 4096])])]),
        origin.play("/status", [send("HTTP/1.1 200 "), Step::Repeat(vec![send(vec![b'a'; 4096])])]),
    ];
    let records = provoke(fetchd([], ""), urls);
    assert_eq!(fates(&records)[0], ("ok", "", 1));
    assert_eq!(fates(&records)[1..], [("failed", "protocol", 1); 4]);
    // Once more each, over a connection that takes longer heads.
    assert_eq!(origin.requests().len(), 10);
}

#[test]
fn what_stands_beside_the_chunks_is_not_read_for_ever() {
    let origin = Origin::start();
    let play = |path: &str, start: &str, then: &str| {
        let head = format!("{OK}transfer-encoding: chunked\r\n\r\n{start}");
        origin.play(path, [send(head), Step::Repeat(vec![send(then.repeat(100))])])
    };
    let urls = [
        play("/extension", "1;", "extension"),
        play("/trailer", "0\r\nx: ", "a"),
        play("/trailers", "0\r\n", "x: a\r\n"),
    ];
    let records = provoke(fetchd([], ""), urls);
    assert_eq!(fates(&records), [("failed", "protocol", 1); 3]);
    assert_eq!(seen(&origin), (3, 3));
}

#[test]
fn hints_without_end_are_no_answer_and_take_no_memory() {
    let origin = Origin::start();
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
    // As fast as a network is: an unbounded loopback would show how busy a machine can be kept.
    let endless = |interim: &str| [Step::Repeat(vec![send(interim.repeat(50)), Step::Wait(Duration::from_millis(1))])];
    let urls = [
        origin.play("/few", [send(hint.repeat(3)), send(ok_with("", b"ok"))]),
        origin.play("/hints", endless(hint)),
        origin.play("/continue", endless("HTTP/1.1 100 Continue\r\n\r\n")),
    ];
    let records = provoke(fetchd(["--timeout", "500ms"], ""), urls);
    assert_eq!(fates(&records), [("ok", "", 1), ("failed", "timeout", 3), ("failed", "timeout", 3)]);
    assert_eq!(records[0]["body"], "ok");
    assert_eq!(origin.requests().len(), 7);
}

#[test]
fn a_server_that_sends_a_little_now_and_then_is_too_slow() {
    let origin = Origin::start();
    let pause = Duration::from_millis(20);
    let drip = |bytes: &str| Step::Repeat(vec![Step::Wait(pause), send(bytes)]);
    let head = ok_with(&format!("x: {}\r\n", "a".repeat(1000)), b"late");
    let urls = [
        origin.play("/head", [Step::Trickle(head, pause)]),
        origin.play("/length", [send(format!("{OK}content-length: 1000\r\n\r\n")), drip("a")]),
        origin.play("/chunks", [send(format!("{OK}transfer-encoding: chunked\r\n\r\n")), drip("1\r\na\r\n")]),
        origin.play("/close", [send(format!("{OK}\r\n")), drip("a")]),
    ];
    let records = provoke(fetchd(["--timeout", "500ms"], "fetch.speed_time = '500ms'\n"), urls);
    assert_eq!(fates(&records), [("failed", "timeout", 3); 4]);
    assert_eq!(seen(&origin), (12, 12));
    for record in &records {
        assert!((1_500.0..10_000.0).contains(&record["elapsed_ms"].as_f64().unwrap()), "{record:#}");
    }
}

#[test]
fn redirects_in_a_circle_or_without_end_are_followed_no_further_than_that() {
    let origin = Origin::start();
    let to = |path: &str, target: &str| origin.play(path, [send(answer(302, &format!("location: {target}\r\n"), ""))]);
    let (circle, itself, endless) = (to("/a", "/b"), to("/itself", ""), to("/0", "/1"));
    to("/b", "/a#elsewhere");
    for n in 1..20 {
        to(&format!("/{n}"), &format!("/{}", n + 1));
    }
    let records = provoke(fetchd(["--max-redirects", "3"], ""), [circle, itself, endless]);
    let want = ["redirect_loop", "redirect_loop", "too_many_redirects"].map(|why| ("failed", why, 1));
    assert_eq!(fates(&records), want);
    let hops: Vec<_> = records.iter().map(|record| record["hops"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(hops, [1, 0, 3]);
    assert!(records.iter().all(|record| record["status"] == 302));
    assert_eq!(origin.requests().len(), 2 + 1 + 4);
}

#[test]
fn a_redirect_that_says_no_place_to_go_is_the_answer() {
    let origin = Origin::start();
    let locations: [(&[u8], &str); 5] = [
        (b"", "it has no Location"),
        (b"location: http://[\r\n", "its Location `http://[` is not a URL"),
        (b"location: http://a b/\r\n", "its Location `http://a b/` is not a URL"),
        (b"location: http://\xff/\r\n", "its Location `http://%FF/` is not a URL"),
        (&[b"location: /".as_slice(), &[b'a'; 9000], b"\r\n"].concat(), "its Location is longer than 8192 bytes"),
    ];
    let answers =
        locations.map(|(location, _)| [b"HTTP/1.1 302 Found\r\ncontent-length: 4\r\n", location, b"\r\nhere"].concat());
    let records = provoke(fetchd([], ""), scripted(&origin, answers));
    assert_eq!(fates(&records), [("http_error", "http_status", 1); 5]);
    for (record, (_, why)) in records.iter().zip(locations) {
        assert_eq!((&record["status"], &record["body"]), (&json!(302), &json!("here")));
        assert!(record["error"]["message"].as_str().unwrap().contains(why), "{record:#}");
    }
    assert_eq!(origin.requests().len(), 5);
}

#[test]
fn a_redirect_that_must_not_be_followed_has_failed_and_the_record_says_how_far_it_came() {
    let (origin, canary) = (Origin::start(), Origin::start_at([127, 0, 0, 3]));
    let mapped = canary.url("/ok/1").replace("127.0.0.3", "[::ffff:127.0.0.3]");
    let cases = [
        (canary.url("/ok/1"), "forbidden_address"),
        (mapped, "forbidden_address"),
        ("file:///etc/passwd".to_owned(), "scheme_not_allowed"),
        ("ftp://127.0.0.1/".to_owned(), "scheme_not_allowed"),
        (canary.url("/").replace("http://", "http://u:p@"), "credentials_in_url"),
    ];
    let before: Vec<_> = cases.iter().map(|(to, _)| origin.redirect(307, to)).collect();
    let urls: Vec<_> = before.iter().map(|url| origin.redirect(301, url)).collect();
    let records = provoke(fetchd([], "network.deny = ['127.0.0.3']\n"), &urls);
    assert_eq!(fates(&records), cases.each_ref().map(|(_, why)| ("failed", *why, 1)));
    for (record, url) in records.iter().zip(&urls) {
        assert_eq!(record["status"], 307, "{record:#}");
        assert_eq!(record["hops"][0], json!({ "url": url, "status": 301 }), "{record:#}");
        assert!(!record.to_string().contains("u:p@"), "{record:#}");
    }
    assert_eq!((origin.requests().len(), canary.accepts()), (10, 0));
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let (trust, canary) = (Trust::new(), Origin::start());
    let origin = trust.origin();
    let url = origin.redirect(302, &canary.url("/ok/1"));
    let records = provoke(fetchd([], &trust.config), [&url, &origin.redirect(302, &url)]);
    assert_eq!(fates(&records), [("failed", "redirect_downgrade", 1); 2]);
    assert_eq!((&records[1]["status"], &records[1]["hops"][0]["status"]), (&json!(302), &json!(302)));
    assert_eq!((origin.requests().len(), canary.accepts()), (3, 0));
}

#[test]
fn a_retry_after_in_seconds_or_as_a_date_holds_for_the_whole_host_and_is_not_charged() {
    const SECOND: Duration = Duration::from_secs(1);
    let date = SystemTime::now() + 2 * SECOND;
    for asked in ["1", &httpdate::fmt_http_date(date)] {
        let origin = Origin::start();
        let later = send(answer(503, &format!("retry-after: {asked}\r\n"), ""));
        let busy = origin.play_in_turn("/busy", [vec![later], vec![send(ok_with("", b"now"))]]);
        let args = ["--retries", "1", "--host-concurrency", "1"];
        let records = provoke(fetchd(args, ""), [busy, origin.url("/ok/1"), origin.url("/ok/2")]);
        assert_eq!(fates(&records), [("ok", "", 2), ("ok", "", 1), ("ok", "", 1)]);
        let requests = origin.requests();
        assert_eq!(requests.len(), 4);
        let at = |nth: usize| SystemTime::now() - requests[nth].at.elapsed();
        // A date has no fractions of a second.
        let earliest = if asked == "1" { at(0) + SECOND } else { date - SECOND };
        assert!(at(1) + TICK >= earliest, "{:?} and not {earliest:?} after `{asked}`", at(1));
    }
}

#[test]
fn a_retry_after_that_says_nothing_is_a_retry_like_any_other() {
    let origin = Origin::start();
    let garbage = ["soon", "-1", "1,5", "", "Wed, 99 Oct 2099 07:28:00 GMT"];
    let answers = garbage.map(|asked| answer(503, &format!("retry-after: {asked}\r\n"), ""));
    let records = provoke(fetchd([], ""), scripted(&origin, answers));
    assert_eq!(fates(&records), [("http_error", "http_status", 3); 5]);
    assert_eq!(origin.requests().len(), 15);
}

#[test]
fn a_retry_after_of_ages_closes_the_host_and_its_lines_are_settled_unsent() {
    for asked in ["301", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let origin = Origin::start();
        let later = send(answer(429, &format!("retry-after: {asked}\r\n"), ""));
        let lines = [origin.play("/busy", [later]), origin.url("/ok/1"), origin.url("/ok/2")];
        let records = provoke(fetchd(["--host-concurrency", "1"], ""), lines);
        let unsent = ("failed", "retry_after_too_long", 0);
        assert_eq!(fates(&records), [("http_error", "retry_after_too_long", 1), unsent, unsent]);
        assert_eq!(origin.requests().len(), 1);
    }
}

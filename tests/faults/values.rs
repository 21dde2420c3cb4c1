//! Header values of odd bytes, and values that mean what their sender meant: a Location, a date, a range.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::common::codings::gzip;
use crate::common::curl::curl;
use crate::common::origin::{Origin, Request, ok_with, send};
use crate::scenario::{fates, fetchd, provoke};

#[test]
fn a_location_of_any_bytes_leads_where_curl_follows_it() {
    let origin = Origin::start();
    let cases: [(&[u8], &str); 7] = [
        (b"/caf\xe9", "/caf%E9"),
        (b"/caf\xc3\xa9", "/caf%C3%A9"),
        (b"/with space", "/with%20space"),
        (b"/q?x=\xff y", "/q?x=%FF%20y"),
        (b"sibling", "/dir/sibling"),
        (b"../up", "/up"),
        (b"?query", "/dir/from?query"),
    ];
    for (location, target) in cases {
        let answer = [b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: ", location, b"\r\n\r\n"].concat();
        let then = vec![send(ok_with("", b"there"))];
        let url = origin.play_in_turn("/dir/from", [vec![send(answer.clone())], then.clone()]);
        let path = target.split('?').next().unwrap();
        // curl writes the digits of a percent-encoding small.
        for path in [path, &path.to_ascii_lowercase()].into_iter().filter(|path| *path != "/dir/from") {
            origin.play(path, then.clone());
        }
        let records = provoke(fetchd([], ""), [url.clone()]);
        assert_eq!((fates(&records), &records[0]["final_url"]), (vec![("ok", "", 1)], &json!(origin.url(target))));
        assert_eq!(origin.requests().last().unwrap().target, target);
        origin.play_in_turn("/dir/from", [vec![send(answer)], then]);
        let theirs = curl(&url, &["--location"]);
        assert_eq!((theirs.exit, theirs.body), (0, b"there".to_vec()), "{target}");
    }
}

#[test]
fn a_location_without_a_scheme_keeps_that_of_its_sender() {
    let (origin, other) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
    let answer = format!("HTTP/1.1 301 Moved\r\ncontent-length: 0\r\nlocation: //{}/ok/1\r\n\r\n", other.authority());
    let records = provoke(fetchd([], ""), [origin.play("/", [send(answer)])]);
    assert_eq!(records[0]["final_url"], other.url("/ok/1"));
}

#[test]
fn no_byte_of_a_header_is_lost() {
    let origin = Origin::start();
    let odd: [(&[u8], &str); 4] = [
        (b"caf\xe9", "caf\u{e9}"),
        (b"caf\xc3\xa9", "caf\u{e9}"),
        (b"\xff\x80\xc3", "\u{ff}\u{80}\u{c3}"),
        (b"a\tb", "a\tb"),
    ];
    let lines = odd
        .iter()
        .enumerate()
        .flat_map(|(n, (value, _))| [format!("x-{n}: ").as_bytes(), value, b"\r\nx-all: ", value, b"\r\n"].concat());
    let head = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-type: text/\xe9\r\n".to_vec(),
        lines.collect(),
        b"\r\n".to_vec(),
    ];
    let records = provoke(fetchd([], "output.headers = true\n"), [origin.play("/", [send(head.concat())])]);
    let headers = &records[0]["headers"];
    for (n, (_, text)) in odd.iter().enumerate() {
        assert_eq!((&headers[format!("x-{n}")], &headers["x-all"][n]), (&json!(text), &json!(text)));
    }
    assert_eq!(records[0]["content_type"], "text/\u{e9}");
}

/// A server whose clock is an hour slow asks for a second of its own time.
#[test]
fn a_retry_after_as_a_date_is_meant_by_the_clock_of_its_sender() {
    const HOUR: Duration = Duration::from_secs(3600);
    let now = SystemTime::now();
    for sender in [now - HOUR, now + HOUR] {
        let origin = Origin::start();
        let [date, until] = [sender, sender + Duration::from_secs(2)].map(httpdate::fmt_http_date);
        let later = format!("HTTP/1.1 503 Busy\r\ndate: {date}\r\nretry-after: {until}\r\ncontent-length: 0\r\n\r\n");
        let url = origin.play_in_turn("/busy", [vec![send(later)], vec![send(ok_with("", b"now"))]]);
        let records = provoke(fetchd(["--retries", "1"], ""), [url]);
        assert_eq!(fates(&records), [("ok", "", 2)]);
        let requests = origin.requests();
        let waited = requests[1].at - requests[0].not_before;
        assert!((1_990..8_000).contains(&waited.as_millis()), "{waited:?}");
    }
}

fn asked(request: &Request) -> [Option<&str>; 2] {
    ["range", "accept-encoding"].map(|name| request.header(name))
}

fn line(url: &str, method: &str, headers: &Value) -> String {
    json!({ "url": url, "method": method, "headers": headers }).to_string()
}

#[test]
fn a_line_with_a_range_means_the_body_as_it_is() {
    let origin = Origin::start();
    let usual = Some("gzip, br, zstd, deflate");
    let cases = [
        ("GET", json!({ "range": "bytes=0-9" }), [Some("bytes=0-9"), Some("identity")]),
        ("HEAD", json!({ "Range": "bytes=0-9" }), [Some("bytes=0-9"), Some("identity")]),
        ("GET", json!({ "range": "bytes=0-9", "if-range": "\"x\"" }), [Some("bytes=0-9"), Some("identity")]),
        ("GET", json!({ "range": "bytes=0-9", "accept-encoding": "gzip" }), [Some("bytes=0-9"), Some("gzip")]),
        (
            "GET",
            json!({ "range": "bytes=0-9", "accept-encoding": "gzip;q=0, *" }),
            [Some("bytes=0-9"), Some("gzip;q=0, *")],
        ),
        ("GET", json!({ "if-range": "\"x\"" }), [None, usual]),
        ("GET", json!({}), [None, usual]),
    ];
    let lines: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(n, (method, headers, _))| line(&origin.url(&format!("/ok/{n}")), method, headers))
        .collect();
    let records = provoke(fetchd([], ""), lines);
    assert_eq!(fates(&records), [("ok", "", 1)].repeat(cases.len()));
    for request in &origin.requests() {
        let n: usize = request.path().trim_start_matches("/ok/").parse().unwrap();
        assert_eq!(asked(request), cases[n].2, "{request:?}");
    }
}

/// A range is no credential: without it the line would get another body than it asked for.
#[test]
fn a_range_is_asked_for_at_every_hop_and_what_may_be_a_credential_is_not() {
    let (origin, other) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
    let headers = json!({ "range": "bytes=1-2", "if-range": "\"x\"", "accept": "a/b", "x-token": "secret" });
    let url = origin.redirect(302, &origin.redirect(302, &other.url("/ok/1")));
    let records = provoke(fetchd([], ""), [line(&url, "GET", &headers)]);
    assert_eq!(fates(&records), [("ok", "", 1)]);
    let there = &other.requests()[0];
    assert_eq!(asked(there), [Some("bytes=1-2"), Some("identity")]);
    assert_eq!(["if-range", "accept", "x-token"].map(|name| there.header(name)), [Some("\"x\""), Some("a/b"), None]);
    assert!(origin.requests().iter().all(|request| request.header("x-token") == Some("secret")));
}

/// With `accept-encoding` of its own, a line gets what it asked for, and it is decoded.
#[test]
fn what_a_line_asks_for_by_itself_is_decoded_too() {
    let origin = Origin::start();
    let url = origin.play("/", [send(ok_with("content-encoding: gzip\r\n", &gzip(b"plain")))]);
    let lines = [json!({ "accept-encoding": "gzip" }), json!({ "accept-encoding": "identity" })];
    let records = provoke(fetchd([], ""), lines.map(|headers| line(&url, "GET", &headers)));
    assert!(records.iter().all(|record| record["body"] == "plain"), "{records:#?}");
}

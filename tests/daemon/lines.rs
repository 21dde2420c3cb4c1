//! Lines in, records out: live, one for one, in the order asked for, and good for a second run.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::fetchd::{Fetchd, kind, seq};
use crate::common::origin::{Origin, ok_with, refusing_address};

#[test]
fn a_record_comes_before_the_next_line_and_before_the_end_of_input() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::with(["-q"]).start();
    for n in 1..=3 {
        fetchd.line(&origin.url(&format!("/ok/{n}")));
        let record = fetchd.record_within(Duration::from_secs(2));
        assert_eq!((seq(&record), &record["json"]), (n, &json!({ "n": n })));
    }
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0));
}

#[test]
fn a_line_without_its_line_end_waits_for_the_rest() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::with(["-q"]).start();
    let (head, tail) = (origin.url("/ok"), "/7");
    std::io::Write::write_all(fetchd.stdin.as_mut().unwrap(), head.as_bytes()).unwrap();
    fetchd.silence(Duration::from_millis(200));
    fetchd.line(tail);
    assert_eq!(fetchd.record()["json"], json!({ "n": 7 }));
}

#[test]
fn a_line_of_ten_megabytes_is_cut_in_its_record_and_the_next_one_is_read() {
    let origin = Origin::start();
    let long = "x".repeat(10 << 20);
    let ended = Fetchd::with(["--ordered"]).run(format!("http://h/{long}\n{}", origin.url("/ok/1")));
    let (cut, next) = (&ended.records[0], &ended.records[1]);
    assert_eq!((kind(cut), &cut["input_bytes"]), ("line_too_long", &json!(long.len() + 9)));
    assert_eq!(cut["input"].as_str().map(str::len), Some(1024));
    assert_eq!(next["outcome"], "ok");
    let again = Fetchd::local().run(cut.to_string());
    assert_eq!(kind(again.only_record()), "not_repeatable");
}

/// A line, and the outcome, error kind and number of attempts of its record; a blank line has none.
type Case = (Vec<u8>, Option<(&'static str, &'static str, u64)>);

/// The scenario of the mixed input: a server, a port that refuses, and an address that must never be dialled.
struct Scenario {
    origin: Origin,
    refusing: String,
    forbidden: Origin,
}

impl Scenario {
    fn case(&self, n: usize) -> Case {
        let url = |path: &str| self.origin.url(&format!("/{path}?{n}")).into_bytes();
        let refused = |kind| Some(("rejected", kind, 0));
        match n % 40 {
            0 => (url("slow/20"), Some(("ok", "", 1))),
            1 => (url("status/404"), Some(("http_error", "http_status", 1))),
            2 => (url("status/500"), Some(("http_error", "http_status", 2))),
            3 => (url("reset"), Some(("failed", "reset", 2))),
            4 => (url("close"), Some(("failed", "reset", 2))),
            5 => (format!("http://{}/{n}", self.refusing).into(), Some(("failed", "connect_refused", 2))),
            6 => (self.origin.redirect(302, &self.origin.url("/ok/6")).into(), Some(("ok", "", 1))),
            7 => (
                self.origin.redirect(302, &self.forbidden.url("/ok/7")).into(),
                Some(("failed", "forbidden_address", 1)),
            ),
            8 => (self.forbidden.url("/ok/8").into(), refused("forbidden_address")),
            9 => (b"example.com/a".into(), refused("invalid_url")),
            10 => (b"http://[::bad/".into(), refused("invalid_url")),
            11 => (b"file:///etc/passwd".into(), refused("scheme_not_allowed")),
            12 => (b"{\"url\": ".into(), refused("invalid_json")),
            13 => (b"{\"url\": \"http://h/\", \"colour\": 1}".into(), refused("invalid_request")),
            14 => (b"http://h/\x01".into(), refused("invalid_char")),
            15 => (b"http://h/\xff\xfe".into(), refused("not_utf8")),
            16 => ([b"http://h/".to_vec(), vec![b'x'; 5000]].concat(), refused("line_too_long")),
            17 => (b"http://u:p@h/".into(), refused("credentials_in_url")),
            18 => (b"".into(), None),
            19 => (b" \t\r".into(), None),
            20 => ([url("ok/20"), b" \r".to_vec()].concat(), Some(("ok", "", 1))),
            21 => (json!({ "url": self.origin.url("/ok/21"), "id": n }).to_string().into(), Some(("ok", "", 1))),
            22 => (url("flaky/1"), Some(("ok", "", 2))),
            _ => (url("ok/1"), Some(("ok", "", 1))),
        }
    }
}

#[test]
fn twenty_thousand_mixed_lines_have_one_right_record_each() {
    let scenario = Scenario {
        origin: Origin::start(),
        refusing: refusing_address().to_string(),
        forbidden: Origin::start_at([127, 0, 0, 66]),
    };
    let cases: Vec<Case> = (0..20_000).map(|n| scenario.case(n)).collect();
    let input: Vec<&[u8]> = cases.iter().map(|(line, _)| line.as_slice()).collect();
    let config = "source.in.stdin.max_line = '4KiB'\n\
                  network.deny = ['127.0.0.66']\n\
                  retry = { retries = 1, backoff = '1ms', budget = 'unlimited' }\n\
                  health.enabled = false";

    let ended = Fetchd::with(["--host-concurrency", "64"]).config(config).run(input.join(&b'\n'));

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let wanted: Vec<_> = cases.iter().filter_map(|(line, want)| Some((line, want.as_ref()?))).collect();
    let seqs: BTreeSet<u64> = ended.records.iter().map(seq).collect();
    assert_eq!(ended.records.len(), wanted.len());
    assert_eq!(seqs, (1..=wanted.len() as u64).collect());
    for record in &ended.records {
        let (line, want) = wanted[seq(record) as usize - 1];
        let outcome = record["outcome"].as_str().unwrap();
        let got = (outcome, kind(record), record["attempts"].as_u64().unwrap_or(0));
        assert_eq!(got, *want, "{}\n{record:#}", String::from_utf8_lossy(line));
        assert_eq!(record["source"], "in");
    }
    assert_eq!(scenario.forbidden.accepts(), 0);
    let summary = ended.summary();
    let blank = cases.len() - wanted.len();
    assert_eq!((&summary["lines"], &summary["blank"]), (&json!(wanted.len()), &json!(blank)));
}

#[test]
fn ordered_records_come_in_the_order_of_their_lines_whatever_the_servers_take() {
    let origin = Origin::start();
    let urls = (0..200).map(|n| origin.url(&format!("/slow/{}?{n}", n * 37 % 50)));
    let input = urls.chain(["not a url".into(), origin.url("/ok/1")]).collect::<Vec<_>>().join("\n");
    let order = |args: &[&str]| Fetchd::with(args).run(input.as_str()).records.iter().map(seq).collect::<Vec<_>>();
    assert!(order(&["--ordered"]).into_iter().eq(1..=202));
    assert!(!order(&[]).is_sorted(), "without --ordered, a slow server holds up nobody else's record");
}

#[test]
fn a_body_is_shown_as_asked_for() {
    let origin = Origin::start();
    origin.script("/binary", ok_with("content-type: application/json\r\n", b"\xff\n"));
    let shown = |how: &str, path: &str| {
        let ended = Fetchd::with(["-q", "--body", how]).run(origin.url(path));
        let record = ended.only_record();
        let keys = ["json", "body", "body_base64"].into_iter().filter(|key| record.get(key).is_some());
        keys.map(|key| (key.to_owned(), record[key].clone())).collect::<Vec<_>>()
    };
    let only = |key: &str, body: Value| vec![(key.to_owned(), body)];
    assert_eq!(shown("auto", "/ok/1"), only("json", json!({ "n": 1 })));
    assert_eq!(shown("auto", "/bytes/2"), only("body", json!("xx")));
    assert_eq!(shown("auto", "/binary"), only("body_base64", json!("/wo=")));
    assert_eq!(shown("text", "/ok/1"), only("body", json!("{\"n\":1}")));
    assert_eq!(shown("text", "/binary"), only("body_base64", json!("/wo=")));
    assert_eq!(shown("base64", "/bytes/2"), only("body_base64", json!("eHg=")));
    assert_eq!(shown("none", "/ok/1"), []);
}

#[test]
fn failures_fed_back_repeat_the_same_requests_and_never_nest() {
    let origin = Origin::start();
    let post = json!({
        "url": origin.url("/flaky/1?post"), "method": "POST", "headers": { "x-own": "1" }, "json": { "a": [1, 2] },
        "id": 7, "meta": { "input": "decoy" }
    });
    let lines = [origin.url("/flaky/1?get"), post.to_string(), "example.com".into(), origin.url("/ok/1")];
    let first = Fetchd::with(["--retries", "0", "--ordered"]).run(lines.join("\n"));
    assert_eq!(first.code, Some(0));
    let failures: Vec<&Value> = first.records.iter().filter(|record| record["outcome"] != "ok").collect();
    assert_eq!(failures.len(), 3);

    let again = failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let second = Fetchd::with(["--ordered"]).run(again);

    let inputs = |records: &[&Value]| records.iter().map(|record| record["input"].clone()).collect::<Vec<_>>();
    let second_records: Vec<&Value> = second.records.iter().collect();
    assert_eq!(inputs(&second_records), inputs(&failures));
    let outcomes: Vec<_> = second.records.iter().map(|record| record["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "ok", "rejected"]);
    assert_eq!((&second.records[1]["id"], &second.records[1]["meta"]), (&json!(7), &json!({ "input": "decoy" })));
    let posts: Vec<_> = origin.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(posts.len(), 2);
    assert_eq!((&posts[0].headers, &posts[0].body), (&posts[1].headers, &posts[1].body));
    assert_eq!(posts[1].body, b"{\"a\":[1,2]}");
}

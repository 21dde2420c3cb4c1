//! Bodies: decoded whatever their coding, cut where that is asked for, and shown as JSON. Hostile ones are in
//! `tests/faults/body.rs`.

use serde_json::json;

use crate::common::codings::{CODINGS, chunked, encoded, gzip};
use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, ok_with};

#[test]
fn every_coding_that_is_asked_for_is_undone() {
    let origin = Origin::start();
    let text = "all work and no play ".repeat(5_000);
    let urls: Vec<_> = CODINGS
        .iter()
        .enumerate()
        .map(|(n, (name, encode))| origin.script(&format!("/{n}"), encoded(name, &encode(text.as_bytes()))))
        .chain([origin.script("/chunked", chunked("", text.as_bytes()))])
        .collect();
    let ended = Fetchd::local().run(urls.join("\n"));
    assert_eq!(ended.count("ok"), urls.len());
    for record in &ended.records {
        assert!(record["body"] == text && record["bytes"] == text.len(), "{}", record["url"]);
    }
}

#[test]
fn a_longer_body_can_be_cut_instead_and_is_flagged() {
    let origin = Origin::start();
    let body = gzip(&[b'x'; 100_000]);
    let urls = [origin.url("/bytes/100000"), origin.script("/gzip", encoded("gzip", &body)), origin.url("/bytes/1000")];
    let ended =
        Fetchd::with(["--ordered"]).config("fetch = { max_body = '1000', oversize = 'truncate' }").run(urls.join("\n"));
    for record in &ended.records {
        assert_eq!((&record["outcome"], &record["bytes"]), (&json!("ok"), &json!(1000)), "{record:#}");
        assert_eq!(record["body"].as_str().unwrap().len(), 1000);
    }
    let flags: Vec<_> = ended.records.iter().map(|record| record["truncated"].as_str()).collect();
    assert_eq!(flags, [Some("length"), Some("length"), None]);
}

#[test]
fn an_answer_that_has_no_body_by_its_nature_is_whole_without_one() {
    let origin = Origin::start();
    let head = json!({ "url": origin.url("/bytes/70000"), "method": "HEAD" });
    let lines = [head.to_string(), origin.url("/status/204"), origin.url("/status/304"), origin.url("/ok/1")];
    let ended = Fetchd::with(["--host-concurrency", "1", "--max-body", "64KiB"]).run(lines.join("\n"));
    let got: Vec<_> =
        ended.records.iter().map(|record| (record["outcome"].as_str(), record["bytes"].as_u64())).collect();
    let ok = |bytes| (Some("ok"), Some(bytes));
    assert_eq!(got, [ok(0), ok(0), (Some("http_error"), Some(0)), ok(7)]);
    assert_eq!(ended.records[0]["content_length"], 70_000);
}

#[test]
fn a_body_of_odd_bytes_still_makes_one_json_line() {
    let origin = Origin::start();
    let odd = "line\nfeed\r\u{1b}[31m\u{2028}\u{0}\"\\";
    let urls = [
        origin.script("/text", ok_with("", odd.as_bytes())),
        origin.script("/latin1", ok_with("content-type: text/plain; charset=latin1\r\n", b"caf\xe9")),
        origin.script("/not-json", ok_with("content-type: application/json\r\n", b"{\"a\": 1,}\n")),
        origin.script("/two-jsons", ok_with("content-type: application/json\r\n", b"{}\n{}")),
    ];
    let ended = Fetchd::with(["--ordered"]).run(urls.join("\n"));
    let shown = |n: usize, key: &str| ended.records[n][key].clone();
    assert_eq!([shown(0, "body"), shown(1, "body_base64")], [json!(odd), json!("Y2Fm6Q==")]);
    assert_eq!([shown(2, "body"), shown(3, "body")], [json!("{\"a\": 1,}\n"), json!("{}\n{}")]);
}

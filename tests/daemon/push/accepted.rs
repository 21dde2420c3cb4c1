//! What is accepted: each request as a whole, in the codings that producers have, with a record for each of its lines.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::place::{Place, curl, wait_until};
use crate::common::fetchd::{Running, kind, seq};
use crate::common::origin::Origin;

/// This many records, by their numbers.
fn records(running: &Running, count: usize) -> Vec<Value> {
    let mut records: Vec<_> = (0..count).map(|_| running.record()).collect();
    records.sort_by_key(seq);
    records
}

fn urls(origin: &Origin, count: usize) -> String {
    (1..=count).map(|n| origin.url(&format!("/ok/{n}")) + "\n").collect()
}

#[test]
fn lines_that_curl_pushes_are_fetched_and_done() {
    let (place, origin) = (Place::new(), Origin::start());
    let running = place.start();
    let answer = place.push(&urls(&origin, 3), &[]);
    assert_eq!(answer.lines(), (Some(1), Some(3)));
    assert_eq!((&answer.body["source"], answer.body.as_object().unwrap().len()), (&Value::from("in"), 4));
    let records = records(&running, 3);
    for (record, n) in records.iter().zip(1..) {
        assert_eq!((seq(record), &record["json"]["n"], &record["source"]), (n, &Value::from(n), &Value::from("in")));
        assert_eq!(record["state_id"], answer.body["state_id"]);
    }
    let progress = || place.curl("/v1/lines/1-3", &[]);
    wait_until(|| progress().body["done"] == 3);
    let progress = progress();
    assert_eq!((progress.status, &progress.body["pending"]), (200, &Value::from(0)));
    assert_eq!(place.push(&urls(&origin, 2), &[]).lines(), (Some(4), Some(5)), "numbers go on");
}

#[test]
fn lines_that_wait_are_pending_and_those_that_were_not_accepted_are_nowhere() {
    let (place, origin) = (Place::new(), Origin::start());
    let running = place.start();
    let lines = format!("{}\n{}\n", origin.url("/ok/1"), origin.url("/hang"));
    assert_eq!(place.push(&lines, &[]).lines(), (Some(1), Some(2)));
    running.record();
    wait_until(|| place.curl("/v1/lines/1-2", &[]).body["done"] == 1);
    assert_eq!(place.curl("/v1/lines/2-2", &[]).body["pending"], 1);
    let answer = place.curl("/v1/lines/2-3", &[]);
    assert_eq!((answer.status, answer.kind()), (404, "not_accepted"));
    assert!(answer.message().contains("up to 2"), "{answer:?}");
}

#[test]
fn gzip_and_zstd_are_decoded() {
    let (place, origin) = (Place::new(), Origin::start());
    let running = place.start();
    let lines = urls(&origin, 500);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(lines.as_bytes()).unwrap();
    let gzip = place.file("urls.gz", encoder.finish().unwrap());
    let zstd = place.file("urls.zst", zstd::encode_all(lines.as_bytes(), 3).unwrap());
    let first = place.push_file(&gzip, &["-H", "Content-Encoding: gzip"]);
    assert_eq!(first.lines(), (Some(1), Some(500)));
    let args = ["-H", "Content-Encoding: ZSTD", "-H", "Content-Type: application/x-ndjson; charset=utf-8"];
    assert_eq!(place.push_file(&zstd, &args).lines(), (Some(501), Some(1000)));
    let records = records(&running, 1000);
    assert!(records.iter().zip((1..=500).cycle()).all(|(record, n)| record["json"]["n"] == n));
}

#[test]
fn a_body_that_waits_for_leave_or_comes_in_chunks_is_accepted() {
    let (place, origin) = (Place::with("max_line = \"4MiB\""), Origin::start());
    let running = place.start();
    let large = format!("{}?{}\n{}\n", origin.url("/ok/1"), "x".repeat(2 << 20), origin.url("/ok/2"));
    let answer = place.push(&large, &["-v"]);
    assert!(answer.headers.contains("100 continue"), "curl asked for leave");
    assert_eq!(answer.lines(), (Some(1), Some(2)));
    assert_eq!(records(&running, 2).iter().map(seq).collect::<Vec<_>>(), [1, 2]);
    let chunked = place.push(&large, &["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]);
    assert_eq!(chunked.lines(), (Some(3), Some(4)));
}

#[test]
fn whatever_is_wrong_with_a_line_is_its_record() {
    let place = Place::with("max_line = \"1KiB\"");
    let running = place.start();
    let body =
        [&b"\xef\xbb\xbfexample.com\r\n\n \t\n\xff\xfe\n{\"url\":1}\n"[..], &[b'x'; 5000], b"\nhttp://10.0.0.1/"]
            .concat();
    let file = place.file("bad", body);
    assert_eq!(place.push_file(&file, &[]).lines(), (Some(1), Some(5)));
    let records = records(&running, 5);
    let kinds: Vec<_> = records.iter().map(kind).collect();
    assert_eq!(kinds, ["invalid_url", "not_utf8", "invalid_request", "line_too_long", "forbidden_address"]);
    assert!(records.iter().all(|record| record["outcome"] == "rejected"));
}

#[test]
fn a_batch_without_lines_is_accepted_and_has_no_numbers() {
    let (place, origin) = (Place::new(), Origin::start());
    let _running = place.start();
    for body in ["", "\n \n\r\n"] {
        let answer = place.push(body, &["-H", "Idempotency-Key: empty"]);
        assert_eq!(answer.lines(), (None, None));
        assert_eq!(answer.body["first"], Value::Null);
    }
    assert_eq!(place.push(&urls(&origin, 1), &["-H", "Idempotency-Key: empty"]).lines(), (Some(1), Some(1)));
}

#[test]
fn a_port_of_this_machine_takes_lines_from_who_has_the_token() {
    let (place, origin) = (Place::new(), Origin::start());
    let (running, url) = place.start_at_port();
    let file = place.file("urls", urls(&origin, 1));
    let push = |token: &str| {
        let args = ["-X", "POST", "-T", file.to_str().unwrap(), "-H", token];
        curl(&[&url], &args)
    };
    for token in ["Authorization: Bearer s3cre", "Authorization: Basic s3cret", "X-None: s3cret"] {
        let answer = push(token);
        assert_eq!((answer.status, answer.kind()), (401, "unauthorized"));
        assert!(answer.headers.contains("www-authenticate: bearer"), "{answer:?}");
    }
    assert_eq!(push("Authorization: Bearer s3cret").lines(), (Some(1), Some(1)));
    assert_eq!(running.record()["outcome"], "ok");
}

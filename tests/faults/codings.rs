//! Content codings that are unknown, that end early, or that are none.

use serde_json::{Value, json};

use crate::common::codings::{CODINGS, encoded, gzip};
use crate::common::curl::curl;
use crate::common::fetchd::kind;
use crate::common::origin::{Origin, Step, ok_with, send};
use crate::scenario::{fates, fetchd, provoke, scripted};

const TEXT: &[u8] = b"{\"whole\": true}";

fn zstd(body: &[u8]) -> Vec<u8> {
    CODINGS.iter().find(|(name, _)| *name == "zstd").map(|(_, encode)| encode(body)).unwrap()
}

#[test]
fn a_body_in_an_unknown_coding_is_shown_as_it_was_sent_and_says_so() {
    let origin = Origin::start();
    let names: [&[u8]; 8] =
        [b"utf-8", b"none", b"aws-chunked", b"snappy", b"UTF8", b"gzip;q=1", b"binary, gzip", b"caf\xe9"];
    let answers = names.map(|name| {
        let head = [b"content-type: application/json\r\ncontent-encoding: ", name, b"\r\n"].concat();
        [b"HTTP/1.1 200 OK\r\n", &*head, b"content-length: 15\r\n\r\n", TEXT].concat()
    });
    let records = provoke(fetchd([], ""), scripted(&origin, answers));
    assert_eq!(fates(&records), [("ok", "", 1); 8]);
    for (record, name) in records.iter().zip(names) {
        let name: String = name.iter().copied().map(char::from).collect();
        assert_eq!((&record["content_encoding"], &record["json"]["whole"]), (&json!(name), &json!(true)), "{record:#}");
    }
}

#[test]
fn a_known_coding_under_an_unknown_one_is_not_undone() {
    let origin = Origin::start();
    let records = provoke(fetchd([], ""), scripted(&origin, [encoded("gzip, snappy", &gzip(TEXT))]));
    assert_eq!(
        (&records[0]["content_encoding"], &records[0]["bytes"]),
        (&json!("gzip, snappy"), &json!(gzip(TEXT).len()))
    );
    assert!(records[0].get("body_base64").is_some(), "{records:#?}");
}

#[test]
fn a_coding_that_was_undone_or_has_no_body_is_not_mentioned() {
    let origin = Origin::start();
    let url = origin.play("/head", [send("HTTP/1.1 200 OK\r\ncontent-encoding: snappy\r\ncontent-length: 9\r\n\r\n")]);
    let empty = send("HTTP/1.1 204 No Content\r\ncontent-encoding: snappy\r\n\r\n");
    let lines = [
        json!({ "url": url, "method": "HEAD" }).to_string(),
        origin.play("/empty", [empty]),
        origin.play("/gzip", [send(encoded("gzip", &gzip(TEXT)))]),
        origin.play("/identity", [send(encoded("identity", TEXT))]),
    ];
    let records = provoke(fetchd([], ""), lines);
    assert_eq!(fates(&records), [("ok", "", 1); 4]);
    assert!(records.iter().all(|record| record.get("content_encoding").is_none()), "{records:#?}");
}

/// Where curl takes such a body for whole, it is the same.
#[test]
fn bytes_after_the_end_of_a_coding_are_ignored() {
    let origin = Origin::start();
    let trailers: [&[u8]; 6] = [b"and more", b"\r\n", b"\0\0\0\0\0\0\0\0", b"\x1f", b"\x28\xb5\x2f", &[b'x'; 100_000]];
    let mut urls = Vec::new();
    for (n, (name, encode)) in CODINGS.iter().enumerate() {
        for (m, trailer) in trailers.iter().enumerate() {
            let body = [encode(TEXT), trailer.to_vec()].concat();
            urls.push(origin.play(&format!("/{n}/{m}"), [send(encoded(name, &body))]));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\n\r\n").into_bytes();
            urls.push(origin.script(&format!("/{n}/{m}/close"), [head, body].concat()));
        }
    }
    let records = provoke(fetchd([], ""), &urls);
    assert_eq!(fates(&records), [("ok", "", 1)].repeat(urls.len()));
    let mut agreed = 0;
    for (record, url) in records.iter().zip(&urls) {
        assert_eq!(record["body"], std::str::from_utf8(TEXT).unwrap(), "{record:#}");
        let theirs = curl(url, &["--compressed"]);
        if theirs.exit == 0 {
            assert_eq!(theirs.body, TEXT, "{url}");
            agreed += 1;
        }
    }
    assert!(agreed > 0, "curl takes some of them");
}

#[test]
fn members_of_gzip_and_frames_of_zstd_are_one_body() {
    let origin = Origin::start();
    let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec();
    let bodies = [
        ("gzip", [gzip(b"one "), gzip(b""), gzip(b"two")].concat()),
        ("gzip", [gzip(b"one "), gzip(b"two"), b"\0\0\0\0".to_vec()].concat()),
        ("zstd", [zstd(b"one "), skippable.clone(), zstd(b"two")].concat()),
        ("zstd", [skippable, zstd(b"one two"), b"more".to_vec()].concat()),
        ("gzip, gzip", gzip(&[gzip(b"one "), gzip(b"two")].concat())),
    ];
    let records = provoke(fetchd([], ""), scripted(&origin, bodies.map(|(name, body)| encoded(name, &body))));
    for record in &records {
        assert_eq!((&record["outcome"], &record["body"]), (&json!("ok"), &json!("one two")), "{record:#}");
    }
}

/// Where a member has begun, it must be whole.
#[test]
fn a_member_that_is_cut_is_not_taken_for_bytes_after_the_end() {
    let origin = Origin::start();
    let cut = |mut body: Vec<u8>| {
        body.pop();
        body
    };
    for (name, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
        let body = [encode(b"one"), cut(encode(b"two"))].concat();
        let until_close = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\n\r\n").into_bytes();
        let urls = [
            origin.play("/length", [send(encoded(name, &body))]),
            origin.script("/close", [until_close, body].concat()),
        ];
        let records = provoke(fetchd(["--retries", "0"], ""), urls);
        assert_eq!(fates(&records), [("failed", "decode", 1), ("failed", "body_incomplete", 1)], "{name}");
    }
}

#[test]
fn a_message_that_is_cut_after_the_end_of_its_coding_is_incomplete() {
    let origin = Origin::start();
    for (name, encode) in CODINGS {
        let body = encode(TEXT);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\ncontent-length: {}\r\n\r\n", body.len() + 9);
        let url = origin.play("/cut", [send([head.into_bytes(), body, b"more".to_vec()].concat()), Step::Close]);
        let records = provoke(fetchd(["--retries", "0"], ""), [url]);
        assert_eq!(fates(&records), [("failed", "body_incomplete", 1)], "{name}");
    }
}

#[test]
fn bytes_after_the_end_of_a_coding_are_read_no_further_than_a_body_may_be_long() {
    let origin = Origin::start();
    let mut urls = Vec::new();
    for (n, (name, encode)) in CODINGS.iter().enumerate() {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\n\r\n").into_bytes();
        let start = send([head, encode(TEXT)].concat());
        urls.push(origin.play(&format!("/{n}"), [start, Step::Repeat(vec![send([b'x'; 4096])])]));
    }
    // The outer coding is a bomb, of which the inner one is but the start.
    let bomb = gzip(&[gzip(TEXT), vec![0; 32 << 20]].concat());
    urls.push(origin.play("/bomb", [send(encoded("gzip, gzip", &bomb))]));
    let records = provoke(fetchd(["--max-body", "1MiB"], ""), urls);
    assert_eq!(fates(&records), [("failed", "decode", 1)].repeat(records.len()));
}

#[test]
fn a_coding_that_the_body_does_not_have_is_an_error_unless_there_is_no_body() {
    let origin = Origin::start();
    for (n, (name, _)) in CODINGS.iter().enumerate() {
        let plain = origin.play(&format!("/plain/{n}"), [send(encoded(name, b"<html>not encoded</html>"))]);
        let empty = origin.play(&format!("/empty/{n}"), [send(encoded(name, b""))]);
        assert_ne!(curl(&plain, &["--compressed"]).exit, 0, "{name}");
        assert_eq!(curl(&empty, &["--compressed"]).exit, 0, "{name}");
        let records = provoke(fetchd([], ""), [plain, empty]);
        assert_eq!((kind(&records[0]), kind(&records[1])), ("decode", ""), "{name}");
        assert_eq!(records[0]["status"], 200);
    }
}

/// Servers that keep their files encoded send a part of the encoded body, whatever was asked for.
#[test]
fn a_part_of_an_encoded_body_is_shown_as_it_was_sent() {
    let origin = Origin::start();
    let part = &gzip(TEXT)[4..];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\ncontent-encoding: gzip\r\ncontent-range: bytes 4-{0}/{1}\r\ncontent-length: {2}\r\n\r\n",
        part.len() + 3,
        part.len() + 4,
        part.len()
    );
    let url = origin.play("/part", [send([head.as_bytes(), part].concat())]);
    let line = json!({ "url": url, "headers": { "range": "bytes=4-" } }).to_string();
    let records: Vec<Value> = provoke(fetchd([], ""), [line]);
    assert_eq!((fates(&records), &records[0]["content_encoding"]), (vec![("ok", "", 1)], &json!("gzip")));
    assert_eq!(records[0]["bytes"], part.len());
}

#[test]
fn codings_as_usual_are_still_undone() {
    let origin = Origin::start();
    let answers = CODINGS.iter().map(|(name, encode)| encoded(name, &encode(TEXT))).chain([ok_with("", TEXT)]);
    let records = provoke(fetchd([], ""), scripted(&origin, answers.collect::<Vec<_>>()));
    assert!(records.iter().all(|record| record["bytes"] == TEXT.len()), "{records:#?}");
}

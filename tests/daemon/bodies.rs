//! Bodies: decoded whatever their coding, capped by what they decode to, and whole or flagged.

use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::{Origin, ok_with};

type Encode = fn(&[u8]) -> Vec<u8>;

/// The codings by the name a server gives them, and how a body looks in each; `deflate` comes in two shapes.
const CODINGS: [(&str, Encode); 5] = [
    ("gzip", |body| all_of(GzipEncoder::new(body))),
    ("deflate", |body| all_of(ZlibEncoder::new(body))),
    ("deflate", |body| all_of(DeflateEncoder::new(body))),
    ("br", |body| all_of(BrotliEncoder::new(body))),
    ("zstd", |body| all_of(ZstdEncoder::new(body))),
];

fn all_of(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut encoded = Vec::new();
    runtime.block_on(encoder.read_to_end(&mut encoded)).unwrap();
    encoded
}

fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
    ok_with(&format!("content-encoding: {coding}\r\n"), body)
}

fn chunked(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

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
fn codings_one_over_the_other_are_undone_in_turn_and_unknown_ones_are_an_error() {
    let origin = Origin::start();
    let twice = all_of(BrotliEncoder::new(all_of(GzipEncoder::new(b"deep".as_slice())).as_slice()));
    let ok = origin.script("/twice", encoded("gzip, br", &twice));
    let unknown = origin.script("/unknown", encoded("lzma", b"deep"));
    let corrupt = origin.script("/corrupt", encoded("gzip", b"this is no gzip"));
    let ended = Fetchd::with(["--ordered"]).run([ok, unknown, corrupt].join("\n"));
    assert_eq!(ended.records[0]["body"], "deep");
    assert_eq!([kind(&ended.records[1]), kind(&ended.records[2])], ["decode", "decode"]);
}

#[test]
fn a_body_cut_at_any_byte_is_never_ok() {
    let origin = Origin::start();
    let text = b"every byte of it, or it is not whole";
    let gzip = all_of(GzipEncoder::new(text.as_slice()));
    // Brotli knows its own end, which may come before that of the message.
    let in_chunks = chunked("content-encoding: br\r\n", &all_of(BrotliEncoder::new(text.as_slice())));
    let whole = [ok_with("", text), chunked("", text), encoded("gzip", &gzip), in_chunks];
    let mut urls = Vec::new();
    for (n, answer) in whole.iter().enumerate() {
        let body = memchr::memmem::find(answer, b"\r\n\r\n").unwrap() + 4;
        urls.extend((body..answer.len()).map(|end| origin.script(&format!("/{n}/{end}"), &answer[..end])));
    }
    let ended = Fetchd::with(["--retries", "0"]).run(urls.join("\n"));
    assert_eq!(ended.records.len(), urls.len());
    for record in &ended.records {
        assert_eq!((&record["outcome"], kind(record)), (&json!("failed"), "body_incomplete"), "{record:#}");
    }
}

#[test]
fn a_close_delimited_body_ends_with_the_connection() {
    let origin = Origin::start();
    let url = origin.script("/", "HTTP/1.1 200 OK\r\n\r\nuntil the end");
    assert_eq!(Fetchd::local().run(url).only_record()["body"], "until the end");
}

#[test]
fn the_cap_counts_decoded_bytes_and_a_longer_body_fails() {
    let origin = Origin::start();
    let (most, more) = (vec![b'x'; 64 << 10], vec![b'x'; (64 << 10) + 1]);
    let bomb = vec![0; 8 << 20];
    for (name, encode) in CODINGS {
        let urls = [("/most", &most), ("/more", &more), ("/bomb", &bomb)]
            .map(|(path, body)| origin.script(path, encoded(name, &encode(body))));
        let ended = Fetchd::with(["--ordered", "--max-body", "64KiB"]).run(urls.join("\n"));
        let kinds: Vec<_> = ended.records.iter().map(kind).collect();
        assert_eq!(kinds, ["", "body_too_large", "body_too_large"], "{name}");
    }
    let urls = [origin.url("/bytes/65536"), origin.url("/bytes/65537"), origin.script("/chunked", chunked("", &more))];
    let ended = Fetchd::with(["--ordered", "--max-body", "64KiB"]).run(urls.join("\n"));
    assert_eq!(ended.records.iter().map(kind).collect::<Vec<_>>(), ["", "body_too_large", "body_too_large"]);
}

#[test]
fn a_longer_body_can_be_cut_instead_and_is_flagged() {
    let origin = Origin::start();
    let gzip = all_of(GzipEncoder::new(vec![b'x'; 100_000].as_slice()));
    let urls = [origin.url("/bytes/100000"), origin.script("/gzip", encoded("gzip", &gzip)), origin.url("/bytes/1000")];
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

//! Bodies that are too long, that never end, that cannot be decoded, and more of them at once than there is memory for.
//!
//! Bodies that are cut are in `cuts.rs`. Reservation elsewhere: `a_body_of_odd_bytes_still_makes_one_json_line` in
//! `tests/daemon/bodies.rs`.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::codings::{CODINGS, brotli, chunked, encoded, gzip};
use crate::common::origin::{Origin, Script, Step, ok_with, send};
use crate::scenario::{Fate, assert_little_memory, fates, fetchd, provoke, scripted, seen};

const OK: &str = "HTTP/1.1 200 OK\r\n";
const TOO_LARGE: Fate<'_> = ("failed", "body_too_large", 1);
const MIB: usize = 1 << 20;

/// These bytes, for ever.
fn endless(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Repeat(vec![send(bytes)])
}

#[test]
fn a_body_may_be_as_long_as_the_cap_and_a_longer_one_fails_the_line_at_once() {
    let origin = Origin::start();
    let (most, more) = (vec![b'x'; 64 << 10], vec![b'x'; (64 << 10) + 1]);
    let framed = |body: &[u8]| {
        let plain = [ok_with("", body), chunked("", body)];
        plain.into_iter().chain(CODINGS.map(|(name, encode)| encoded(name, &encode(body)))).collect::<Vec<_>>()
    };
    let answers: Vec<_> = framed(&most).into_iter().chain(framed(&more)).collect();
    let count = answers.len();
    let until_close = |path, body: &[u8]| origin.script(path, [OK.as_bytes(), b"\r\n", body].concat());
    let urls = scripted(&origin, answers).into_iter().chain([until_close("/most", &most), until_close("/more", &more)]);
    let records = provoke(fetchd(["--max-body", "64KiB"], ""), urls);
    let want = [[("ok", "", 1)].repeat(count / 2), [TOO_LARGE].repeat(count / 2)].concat();
    assert_eq!(fates(&records)[..count], want);
    assert_eq!(fates(&records)[count..], [("ok", "", 1), TOO_LARGE]);
    assert_eq!(origin.requests().len(), count + 2);
}

#[test]
fn a_body_without_end_is_read_no_further_than_the_cap() {
    let origin = Origin::start();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let urls = [
        origin.play("/length", [send(format!("{OK}content-length: {}\r\n\r\n", u64::MAX - 2)), endless("x")]),
        origin.play("/chunks", [send(format!("{OK}transfer-encoding: chunked\r\n\r\n")), endless(chunk)]),
        origin.play("/close", [send(format!("{OK}\r\n")), endless(vec![b'x'; 0x10000])]),
    ];
    let records = provoke(fetchd(["--max-body", "4MiB"], ""), &urls);
    assert_eq!(fates(&records), [TOO_LARGE; 3]);

    let cut = provoke(fetchd([], "fetch = { max_body = '100KiB', oversize = 'truncate' }\n"), &urls);
    assert_eq!(fates(&cut), [("ok", "", 1); 3]);
    for record in &cut {
        assert_eq!((&record["truncated"], &record["bytes"]), (&json!("length"), &json!(100 << 10)));
        assert_eq!(record["body"].as_str().unwrap().len(), 100 << 10);
    }
    assert_eq!(seen(&origin), (6, 6));
}

#[test]
fn a_bomb_is_stopped_by_what_it_decodes_to_and_takes_no_memory() {
    let origin = Origin::start();
    let zeros = vec![0; 32 * MIB];
    let mut answers: Vec<_> = CODINGS.iter().map(|(name, encode)| encoded(name, &encode(&zeros))).collect();
    answers.push(encoded("gzip, gzip", &gzip(&gzip(&zeros))));
    answers.push(encoded("gzip, br, gzip", &gzip(&brotli(&gzip(&zeros)))));
    let records = provoke(fetchd(["--max-body", "1MiB"], ""), scripted(&origin, answers));
    assert_eq!(fates(&records), [TOO_LARGE; 7]);
    assert_eq!(origin.requests().len(), 7);
}

#[test]
fn a_coding_that_goes_on_for_ever_and_says_nothing_ends_at_the_attempts_clock() {
    let origin = Origin::start();
    let play = |path: &str, coding: &str, steps: [Step; 2]| {
        let head = send(format!("{OK}content-encoding: {coding}\r\n\r\n"));
        origin.play(path, [Script::from([head]), steps.into()].concat())
    };
    let gzip_head = |flags| send([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 0xff]);
    let urls = [
        // A file name that never ends (RFC 1952, section 2.3).
        play("/name", "gzip", [gzip_head(8), endless([b'a'; 1024])]),
        // Empty stored blocks (RFC 1951, section 3.2.4).
        play("/blocks", "gzip", [gzip_head(0), endless([0, 0, 0, 0xff, 0xff].repeat(200))]),
        play("/members", "gzip", [send(gzip(b"")), endless(gzip(b"").repeat(100))]),
        // Skippable frames of four bytes (RFC 8878, section 3.1.2).
        play("/frames", "zstd", [send([]), endless([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 0, 0, 0, 0].repeat(100))]),
    ];
    let records = provoke(fetchd(["--max-body", "4MiB"], ""), urls);
    assert_eq!(fates(&records), [("failed", "body_too_large", 1); 4]);
    assert_eq!(seen(&origin), (4, 4));
}

#[test]
fn a_body_that_cannot_be_decoded_fails_the_line_at_once() {
    let origin = Origin::start();
    let text = b"not what it says, or not all of it".as_slice();
    let mut answers: Vec<_> = CODINGS.iter().map(|(name, _)| encoded(name, b"\x99\x99\x99\x99 corrupt")).collect();
    for (name, encode) in CODINGS {
        let whole = encode(text);
        answers.push(encoded(name, &whole[..whole.len() - 1]));
        answers.push(encoded(name, &whole[..whole.len() / 2]));
    }
    // A window of 1 GiB (RFC 8878, section 3.1.1.1.2).
    answers.push(encoded("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0xa0, 1, 0, 0]));
    // The check value of the outer coding is wrong, although the inner one has come to its end.
    let mut checked = gzip(&brotli(text));
    *checked.last_mut().unwrap() ^= 1;
    answers.push(encoded("br, gzip", &checked));
    answers.push(encoded("gzip, gzip, gzip, gzip", &gzip(&gzip(&gzip(&gzip(text))))));
    let count = answers.len();
    let records = provoke(fetchd([], ""), scripted(&origin, answers));
    for (n, (fate, record)) in fates(&records).into_iter().zip(&records).enumerate() {
        assert_eq!((n, fate), (n, ("failed", "decode", 1)), "{record:#}");
        assert!(record.get("body").is_none(), "{record:#}");
    }
    assert_eq!(origin.requests().len(), count);
}

#[test]
fn codings_one_over_the_other_are_undone_in_turn() {
    let origin = Origin::start();
    let body = encoded("gzip, br, identity, gzip", &gzip(&brotli(&gzip(b"deep"))));
    let records = provoke(fetchd([], ""), scripted(&origin, [body]));
    assert_eq!((fates(&records), &records[0]["body"]), (vec![("ok", "", 1)], &json!("deep")));
}

/// Memory for four of the bodies of 1 MiB that these tests ask for.
const LITTLE: &str = "fetch.max_body = '1MiB'\nlimits = { concurrency = 32, body_memory = '4MiB' }\n";

#[test]
fn more_bodies_at_once_than_there_is_memory_for_come_one_after_the_other_uncharged() {
    let origin = Origin::start();
    let body = vec![b'x'; MIB];
    let halves = |head: &str| {
        let (first, second) = body.split_at(MIB / 2);
        [send([head.as_bytes(), first].concat()), Step::Wait(Duration::from_millis(20)), send(second)]
    };
    let length = halves(&format!("{OK}content-length: {MIB}\r\n\r\n"));
    let until_close = [&halves(&format!("{OK}\r\n"))[..], &[Step::Close]].concat();
    let urls = (0..24).flat_map(|n| {
        [origin.play(&format!("/length/{n}"), length.clone()), origin.play(&format!("/close/{n}"), until_close.clone())]
    });
    let records = provoke(fetchd(["--retries", "0", "--host-concurrency", "32"], LITTLE), urls);
    assert_eq!(fates(&records), [("ok", "", 1); 48]);
    assert!(records.iter().all(|record| record["bytes"] == MIB));
    assert!(origin.requests().len() > 48, "all of them had room");
}

#[test]
fn bodies_wait_for_an_output_that_nobody_reads_and_no_line_fails_because_of_it() {
    let origin = Origin::start();
    let args = ["--retries", "0", "--timeout", "2s", "--host-concurrency", "32"];
    let (mut running, stdout) = fetchd(args, LITTLE).start_unread();
    let input: String = (0..100).map(|n| origin.url(&format!("/bytes/200000?{n}\n"))).collect();
    let _producer = running.write_all(input.into());
    // As many as there is memory for.
    origin.wait_for_requests(20);
    assert_little_memory(running.pid);
    let lines = BufReader::new(stdout.unwrap()).lines().map(Result::unwrap);
    let records: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!(fates(&records), [("ok", "", 1); 100]);
    assert_eq!(running.wait().code, Some(0));
}

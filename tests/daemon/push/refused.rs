//! What is refused: each with its status, its kind and a sentence that says what to do, and nothing of it accepted.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::place::{Place, wait_until};
use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;

#[test]
fn what_is_not_there_or_not_meant_so_is_said() {
    let place = Place::new();
    let _running = place.start();
    for (path, args, status, kind, says) in [
        ("/", &[][..], 404, "not_found", "/v1/lines"),
        ("/v1/lines2", &["-X", "POST"], 404, "not_found", "/v1/lines"),
        ("/v1/lines", &[], 405, "method_not_allowed", "-X POST"),
        ("/v1/lines/1-1", &["-X", "DELETE"], 405, "method_not_allowed", "GET"),
        ("/v1/lines/2-1", &[], 400, "invalid_range", "/v1/lines/1-100"),
        ("/v1/lines/0-1", &[], 400, "invalid_range", "/v1/lines/1-100"),
        ("/v1/lines/x", &[], 400, "invalid_range", "/v1/lines/1-100"),
        ("/v1/lines/1-1", &[], 404, "not_accepted", "up to 0"),
        ("/v1/lines", &["--data", "http://a.test/"], 415, "unsupported_type", "application/x-ndjson"),
        ("/v1/lines", &["--json", "{}"], 415, "unsupported_type", "`application/json`"),
        ("/v1/lines", &["-X", "POST", "-H", "Content-Encoding: br"], 415, "unsupported_coding", "gzip or zstd"),
    ] {
        let answer = place.curl(path, args);
        assert_eq!((answer.status, answer.kind()), (status, kind), "{path} {args:?}");
        assert!(answer.message().contains(says), "{answer:?}");
    }
    assert!(place.curl("/v1/lines", &[]).headers.contains("allow: post"));
    assert_eq!(place.accepted(), 0);
}

#[test]
fn bodies_that_are_not_what_they_say_are_refused_as_a_whole() {
    let place = Place::new();
    let _running = place.start();
    let lines = b"http://a.test/\n".repeat(1000);
    let whole = zstd::encode_all(lines.as_slice(), 3).unwrap();
    for bytes in [&whole[..whole.len() - 1], b"no zstd"] {
        let file = place.file("bad", bytes);
        let answer = place.push_file(&file, &["-H", "Content-Encoding: zstd"]);
        assert_eq!((answer.status, answer.kind()), (400, "decode"), "{answer:?}");
    }
    let file = place.file("undeclared", &whole);
    let answer = place.push_file(&file, &[]);
    assert_eq!((answer.status, answer.kind()), (400, "decode"), "{answer:?}");
    assert!(answer.message().contains("`Content-Encoding: zstd`"), "{answer:?}");
    assert_eq!(place.accepted(), 0);
}

#[test]
fn more_than_16_mib_are_refused_whether_they_wait_for_leave_or_not() {
    let place = Place::with("max_line = \"1KiB\"");
    let _running = place.start();
    let line = format!("{}\n", "x".repeat(1023));
    let file = place.file("large", line.repeat(16 << 10).as_bytes());
    assert_eq!(place.push_file(&file, &[]).lines(), (Some(1), Some(16 << 10)), "16 MiB are accepted");
    let large = place.file("too-large", (line.repeat(16 << 10) + "x").as_bytes());
    let huge = place.file("huge", line.repeat(24 << 10).as_bytes());
    let chunked = ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"];
    for (file, args) in
        [(&large, &[][..]), (&huge, &[]), (&huge, &["-H", "Expect:"]), (&large, &chunked), (&huge, &chunked)]
    {
        let answer = place.push_file(file, args);
        assert_eq!((answer.status, answer.kind()), (413, "body_too_large"), "{args:?}");
        assert!(answer.message().contains("16.0 MiB"), "{answer:?}");
    }
    assert_eq!(place.accepted(), 16 << 10);
}

#[test]
fn a_producer_that_sends_all_before_it_reads_is_answered_and_not_reset() {
    let place = Place::new();
    let (_running, url) = place.start_at_port();
    let address = url.trim_start_matches("http://").trim_end_matches("/v1/lines");
    let body = vec![b'x'; 17 << 20];
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "POST /v1/lines HTTP/1.1\r\nhost: fetchd\r\nauthorization: Bearer s3cret\r\nconnection: close";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(&body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
    }
}

#[test]
fn a_journal_that_is_full_refuses_lines_and_takes_them_again_when_there_is_room() {
    let (mut place, origin) = (Place::with("max_journal = \"8KiB\""), Origin::start());
    place.tables = "[queue]\nwindow = 64".to_owned();
    let running = place.start();
    let lines = format!("{}\n", origin.url("/hang")).repeat(100);
    let [accepted, refused] = [(); 2].map(|()| place.push(&lines, &[]));
    assert_eq!(accepted.lines(), (Some(1), Some(100)));
    let refused = [refused].into_iter().chain((0..2).map(|_| place.push(&lines, &[]))).last().unwrap();
    assert_eq!((refused.status, refused.kind()), (503, "full"));
    assert!(refused.headers.contains("retry-after: 5"), "{refused:?}");
    assert!(refused.message().contains("max_journal is 8.0 KiB"), "{refused:?}");
    assert_eq!(place.curl("/v1/lines/1-100", &[]).status, 200, "the listener goes on");
    running.message("batches are refused until there is room");
    running.kill();
    origin.script("/hang", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let running = place.start();
    let before = place.accepted();
    for _ in 0..before {
        running.record();
    }
    wait_until(|| place.push(&lines, &[]).status == 202);
}

#[test]
fn a_disk_that_is_nearly_full_refuses_lines() {
    let place = Place::new();
    let (socket, state) = (place.socket(), place.path("state"));
    let config =
        format!("[source.in.http]\nsocket = {socket:?}\n[state]\ndata_dir = {state:?}\nmin_free = \"1000TiB\"\n");
    let running = Fetchd::local().config(&config).start();
    running.message("listening for lines at");
    let answer = place.push("http://a.test/\n", &[]);
    assert_eq!((answer.status, answer.kind()), (503, "full"));
    assert!(answer.message().contains("state.min_free is 1000.0 TiB"), "{answer:?}");
    assert_eq!(place.accepted(), 0);
}

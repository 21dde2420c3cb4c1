//! Producers that are slow, broken or hostile cost their own connections, and others hardly notice.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::place::Place;
use crate::common::PATIENCE;

/// A place where a request may take this long.
fn quick(time: &str) -> Place {
    Place::with(&format!("timeout = \"{time}\""))
}

/// A connection.
fn connect(place: &Place) -> UnixStream {
    let stream = UnixStream::connect(place.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes until the other end is closed.
fn rest(mut stream: &UnixStream) -> String {
    let mut bytes = Vec::new();
    // An end by a reset is an end.
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it stays open");
    }
    String::from_utf8(bytes).unwrap()
}

/// The others are served as ever.
fn is_well(place: &Place) {
    assert!(place.push("no url\n", &[]).lines().0.is_some());
}

const HEAD: &str = "POST /v1/lines HTTP/1.1\r\nhost: fetchd\r\n";

#[test]
fn a_head_that_does_not_come_is_answered_and_the_connection_closed() {
    let place = quick("300ms");
    let _running = place.start();
    for part in ["P", HEAD, &format!("{HEAD}x: y")] {
        let mut stream = connect(&place);
        stream.write_all(part.as_bytes()).unwrap();
        let said = rest(&stream);
        assert!(said.starts_with("HTTP/1.1 408 "), "{part:?}: {said:?}");
    }
    assert_eq!(rest(&connect(&place)), "", "who says nothing is told nothing");
    is_well(&place);
}

#[test]
fn a_body_that_does_not_come_is_answered_and_nothing_of_it_accepted() {
    let place = quick("300ms");
    let _running = place.start();
    for (head, part) in
        [("content-length: 100\r\n\r\n", "no url\n"), ("transfer-encoding: chunked\r\n\r\n", "7\r\nno url\n\r\n")]
    {
        let mut stream = connect(&place);
        stream.write_all(format!("{HEAD}{head}{part}").as_bytes()).unwrap();
        let said = rest(&stream);
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("\"kind\":\"timeout\""), "{said:?}");
    }
    assert_eq!(place.accepted(), 0);
    is_well(&place);
}

#[test]
fn a_producer_that_leaves_in_the_middle_has_sent_nothing() {
    let place = Place::new();
    let _running = place.start();
    for part in ["", "P", HEAD, &format!("{HEAD}content-length: 14\r\n\r\nno url\n")] {
        connect(&place).write_all(part.as_bytes()).unwrap();
    }
    is_well(&place);
    assert_eq!(place.accepted(), 1);
}

#[test]
fn what_is_no_request_is_answered_with_400_and_closed() {
    let place = Place::new();
    let _running = place.start();
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /v1/lines HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        "POST /v1/lines HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /v1/lines HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ] {
        let mut stream = connect(&place);
        stream.write_all(garbage.as_bytes()).unwrap();
        let said = rest(&stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{garbage:?}: {said:?}");
    }
    let mut stream = connect(&place);
    stream.write_all(format!("{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n").as_bytes()).unwrap();
    let said = rest(&stream);
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("body_incomplete"), "{said:?}");
    assert_eq!(place.accepted(), 0);
    is_well(&place);
}

#[test]
fn a_head_of_10_mb_is_refused_after_64_kib() {
    let place = Place::new();
    let _running = place.start();
    let mut stream = connect(&place);
    let head = format!("{HEAD}x: {}\r\n\r\n", "y".repeat(10_000_000));
    // It is not read to its end.
    let _ = stream.write_all(head.as_bytes());
    let said = rest(&stream);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said:?}");
    is_well(&place);
}

#[test]
fn a_body_without_end_is_refused_at_the_limit() {
    let place = Place::new();
    let _running = place.start();
    let mut stream = connect(&place);
    stream.write_all(format!("{HEAD}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let reader = stream.try_clone().unwrap();
    let said = std::thread::scope(|scope| {
        let said = scope.spawn(|| rest(&reader));
        while stream.write_all(chunk.as_bytes()).is_ok() {}
        said.join().unwrap()
    });
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 413 "), "{said:?}");
    is_well(&place);
    assert_eq!(place.accepted(), 1);
}

#[test]
fn bytes_that_come_one_in_a_chunk_cost_no_more_than_bytes() {
    let place = quick("5m");
    let running = place.start();
    let mut stream = connect(&place);
    stream.write_all(format!("{HEAD}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunks: String = "no url\n".repeat(10_000).chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
    (0..14).for_each(|_| stream.write_all(chunks.as_bytes()).unwrap());
    stream.write_all(b"0\r\n\r\n").unwrap();
    stream.set_read_timeout(None).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 202");
    let peak = peak(running.pid.as_raw());
    assert!(peak < 48 << 20, "{peak} bytes");
}

#[test]
fn a_bomb_is_refused_and_costs_little_memory() {
    let place = Place::new();
    let running = place.start();
    let bomb = zstd::encode_all(std::io::repeat(b'x').take(1 << 30), 3).unwrap();
    let file = place.file("bomb", bomb);
    for _ in 0..3 {
        let answer = place.push_file(&file, &["-H", "Content-Encoding: zstd"]);
        assert_eq!((answer.status, answer.kind()), (413, "body_too_large"));
    }
    let peak = peak(running.pid.as_raw());
    assert!(peak < 64 << 20, "{peak} bytes");
    is_well(&place);
}

#[test]
fn two_million_of_the_shortest_lines_cost_a_bounded_memory() {
    let place = Place::new();
    let running = place.start();
    let file = place.file("short", "x\n".repeat(2 << 20));
    assert_eq!(place.push_file(&file, &[]).lines(), (Some(1), Some(2 << 20)));
    for _ in 0..1000 {
        running.record();
    }
    let peak = peak(running.pid.as_raw());
    assert!(peak < 100 << 20, "{peak} bytes");
}

#[test]
fn a_thousand_connections_that_do_nothing_keep_nobody_out() {
    let place = Place::with("max_connections = 16");
    let _running = place.start();
    let mut idle = Vec::new();
    for n in 0..1000 {
        let mut stream = connect(&place);
        if n % 2 == 0 {
            let _ = stream.write_all(HEAD.as_bytes());
        }
        idle.push(stream);
        if n % 250 == 0 {
            is_well(&place);
        }
    }
    is_well(&place);
}

#[test]
fn connections_with_answers_that_nobody_reads_make_room() {
    let place = Place::with("max_connections = 4");
    let _running = place.start();
    let request = "GET /v1/lines/1-1 HTTP/1.1\r\nhost: fetchd\r\n\r\n".repeat(20_000);
    let mut unread = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(&place);
        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        let _ = stream.write_all(request.as_bytes());
        unread.push(stream);
    }
    is_well(&place);
}

/// The most bytes of memory that a process has had.
fn peak(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

//! How a source `http` begins and ends: what is in its way at a start, and what a stop leaves.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::place::Place;
use crate::common::fetchd::{Fetchd, seq};
use crate::common::origin::Origin;

/// What a busy machine may add to a time limit of the product.
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn a_stop_ends_the_run_takes_the_socket_away_and_leaves_what_was_accepted() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.start();
    let lines: String = (1..=200).map(|n| origin.url(&format!("/slow/20?{n}")) + "\n").collect();
    place.push(&lines, &[]).lines();
    let first = seq(&running.record());
    let start = Instant::now();
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!place.socket().exists());
    let mut seqs: Vec<u64> = [first].into_iter().chain(ended.records.iter().map(seq)).collect();
    assert!(seqs.len() < 200, "lines are left");
    let running = place.start();
    while seqs.len() < 200 {
        seqs.push(seq(&running.record()));
    }
    seqs.sort_unstable();
    assert!(seqs.into_iter().eq(1..=200));
}

#[test]
fn a_request_that_is_under_way_at_a_stop_is_answered() {
    let place = Place::new();
    let file = place.file("lines", "no url\n").display().to_string();
    for round in 0..5 {
        let mut running = place.start();
        // From here on a signal is a stop.
        assert_eq!(place.curl("/v1/lines/999-999", &[]).status, 404);
        let before = place.accepted();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let (place, file) = (&place, &file);
            let push = move |n: u32| {
                let header = format!("Idempotency-Key: {round}-{n}");
                // One that comes too late is not connected, or closed, without an answer.
                place.try_curl("/v1/lines", &["-X", "POST", "-T", file, "-H", &header]).ok()
            };
            let pushes: Vec<_> = (0..4).map(|n| scope.spawn(move || push(n))).collect();
            running.signal(Signal::SIGTERM);
            pushes.into_iter().map(|push| push.join().unwrap()).collect()
        });
        assert_eq!(running.wait().code, Some(0));
        let accepted = answers.iter().flatten().filter(|answer| answer.status == 202).count() as u64;
        let refused =
            answers.iter().flatten().filter(|answer| answer.status == 503).all(|answer| answer.kind() == "stopping");
        assert!(refused, "{answers:?}");
        assert_eq!(place.accepted() - before, accepted, "what was accepted was answered: {answers:?}");
    }
}

#[test]
fn a_request_whose_body_is_under_way_at_a_stop_is_told_so() {
    let place = Place::new();
    let mut running = place.start();
    let mut stream = UnixStream::connect(place.socket()).unwrap();
    let head = "POST /v1/lines HTTP/1.1\r\nhost: fetchd\r\nexpect: 100-continue\r\ncontent-length: 14\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"no url\n").unwrap();
    let start = Instant::now();
    running.signal(Signal::SIGTERM);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"kind\":\"stopping\""), "{answer:?}");
    assert_eq!(running.wait().code, Some(0));
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
    assert_eq!(place.accepted(), 0);
}

#[test]
fn a_request_that_is_decoded_or_synced_at_a_stop_is_answered() {
    let place = Place::new();
    for _ in 0..3 {
        let mut running = place.start();
        assert_eq!(place.curl("/v1/lines/999-9999999", &[]).status, 404);
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        let body = "\n".repeat(12 << 20);
        write!(stream, "POST /v1/lines HTTP/1.1\r\nhost: fetchd\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        running.signal(Signal::SIGTERM);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(["HTTP/1.1 202 ", "HTTP/1.1 503 "].iter().any(|status| answer.starts_with(status)), "{answer:?}");
        assert_eq!(running.wait().code, Some(0));
    }
}

#[test]
fn a_socket_that_another_process_listens_at_is_left_to_it() {
    let place = Place::new();
    let live = UnixListener::bind(place.socket()).unwrap();
    let ended = place.fetchd().run("");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("another process listens at"), "{}", ended.stderr);
    drop(live);
    let running = place.start();
    assert_eq!(place.push("no url\n", &[]).lines(), (Some(1), Some(1)), "what a dead one has left is replaced");
    running.kill();
    assert!(place.socket().exists());
    let _running = place.start();
}

#[test]
fn a_file_that_is_no_socket_is_not_touched() {
    let place = Place::new();
    fs::write(place.socket(), "mine").unwrap();
    let ended = place.fetchd().run("");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("is no socket"), "{}", ended.stderr);
    assert_eq!(fs::read(place.socket()).unwrap(), b"mine");
}

#[test]
fn a_port_that_is_taken_ends_the_start_before_any_request() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "[source.in.http]\nlisten = \"{}\"\ntoken = \"t\"\n[state]\ndata_dir = {:?}\n",
        taken.local_addr().unwrap(),
        place.path("state")
    );
    let ended = Fetchd::local().config(&config).run("");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("cannot listen at 127.0.0.1"), "{}", ended.stderr);
}

#[test]
fn a_round_does_not_wait_for_producers() {
    let place = Place::new();
    let mut running = place.start();
    place.push("no url\n", &[]).lines();
    running.record();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(0));
    let state = place.path("state");
    let results = place.file("results.jsonl", "");
    let socket = place.socket();
    let config = format!(
        "[source.in.http]\nsocket = {socket:?}\n[state]\ndata_dir = {state:?}\n[sink.all.jsonl]\npath = {results:?}\n"
    );
    let ended = Fetchd::with(["--again", "not_ok", "--partial"]).config(&config).run("");
    assert!(ended.stderr.contains("`in` is not read in a run with --again"), "{}", ended.stderr);
}

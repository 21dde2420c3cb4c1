//! The release binary under real load, with assertions: every line has its record, memory does not grow with lines, nor
//! open files with hosts, and connections last.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{api, crawl, durable, hosts, latency, memory, say};

/// Runs all of it.
pub fn smoke(origin: SocketAddr, dir: &Path) {
    three_lines(origin);
    mixed(origin, 200_000);
    memory::smoke(origin, dir);
    latency::latency(origin);
    api::smoke(origin, dir);
    durable::durable(origin, dir, &durable::SMALL);
    hosts::many_hosts(50_000);
    crawl::smoke(dir);
}

/// `printf … | fetchd`: what a newcomer does second.
fn three_lines(origin: SocketAddr) {
    let records = pipe(3, move |n| format!("http://{origin}/item/{n}"));
    assert_eq!(records.len(), 3);
    assert!(records.values().all(|record| record["outcome"] == "ok"), "{records:?}");
    say("three lines through a pipe: three records");
}

/// Good, bad, slow and failing lines: as many records as lines, each once, each with the outcome of its kind.
fn mixed(origin: SocketAddr, lines: u64) {
    let records = pipe(lines, move |n| line(origin, n).0);
    assert_eq!(records.len() as u64, lines);
    for n in 1..=lines {
        let (line, outcome) = line(origin, n);
        assert_eq!(records[&n]["outcome"], outcome, "line {n}: {line}: {}", records[&n]);
    }
    say(&format!("{lines} mixed lines: {lines} records, each line once, each with its outcome"));
}

/// The line of a number, and what is to come of it.
fn line(origin: SocketAddr, n: u64) -> (String, &'static str) {
    match n % 100 {
        1 => (format!("http://{origin}/missing/{n}"), "http_error"),
        2 if n.is_multiple_of(1000) => (format!("http://{origin}/broken/{n}"), "http_error"),
        3 if n % 1000 == 3 => (format!("http://{origin}/reset/{n}"), "failed"),
        4 => (format!("http://{origin}/slow/{n}"), "ok"),
        5 => ("example.com".to_owned(), "rejected"),
        6 => (format!("http://10.0.0.1/{n}"), "rejected"),
        7 => (format!("{{\"url\":\"http://{origin}/json/{n}\",\"id\":{n}}}"), "ok"),
        8 => (format!("{{\"url\":\"http://{origin}/json/{n}\",\"colour\":{n}}}"), "rejected"),
        _ => (format!("http://{origin}/item/{n}"), "ok"),
    }
}

/// Feeds lines 1 to `lines` through the binary's pipes and returns the records by `seq`.
fn pipe(lines: u64, line: impl Fn(u64) -> String + Send + 'static) -> HashMap<u64, Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fetchd"))
        .args(["--allow", "127.0.0.1", "--host-concurrency", "64", "--body", "none", "--retries", "1", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("fetchd starts");
    let mut input = BufWriter::new(child.stdin.take().expect("its input"));
    let writer = std::thread::spawn(move || {
        for n in 1..=lines {
            writeln!(input, "{}", line(n)).expect("it reads");
        }
    });
    let mut records = HashMap::new();
    for record in BufReader::new(child.stdout.take().expect("its output")).lines() {
        let record: Value = serde_json::from_str(&record.expect("a line")).expect("JSON");
        let seq = record["seq"].as_u64().expect("a seq");
        assert!(records.insert(seq, record).is_none(), "line {seq} has two records");
    }
    writer.join().expect("the input was written");
    assert!(child.wait().expect("it ends").success());
    records
}

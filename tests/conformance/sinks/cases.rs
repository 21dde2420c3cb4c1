//! What every sink must do.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Breakage, Consumer, Fault, Row, Stalls};
use crate::common::fetchd::{Fetchd, Running};
use crate::common::pipe::fill;
use crate::site::{Site, assert_accounted, until};
use crate::small_disk::with_a_small_disk;

/// More than any case needs; an idle process has a third of it.
const MOST_MEMORY: u64 = 80 << 20;

const DURABLE: &str = "[source.in.stdin]\ndurable = true\n";
const PLAIN: &str = "[source.in.stdin]\n";

/// A sink with its consumer, and the lines that it is owed records of.
struct Trial {
    site: Site,
    consumer: Box<dyn Consumer>,
    row: &'static str,
    delivery: crate::site::Delivery,
    source: &'static str,
    lines: BTreeMap<u64, String>,
}

impl Trial {
    fn new(row: &Row) -> Self {
        let site = Site::new();
        let consumer = (row.consumer)(site.dir());
        Self { site, consumer, row: row.kind, delivery: row.delivery, source: DURABLE, lines: BTreeMap::new() }
    }

    /// With a source that does not remember its lines.
    fn forgetful(row: &Row) -> Self {
        Self { source: PLAIN, ..Self::new(row) }
    }

    /// With the files of the sink in this directory.
    fn with_files_in(row: &Row, dir: &Path) -> Self {
        Self { consumer: (row.consumer)(dir), ..Self::new(row) }
    }

    fn tables(&self) -> String {
        format!("{}{}", self.source, self.consumer.table("out"))
    }

    fn start(&mut self) -> Running {
        let fetchd = self.site.fetchd(&self.tables());
        self.start_as(fetchd)
    }

    fn start_as(&mut self, fetchd: Fetchd) -> Running {
        fetchd.stdout(self.consumer.stdout()).start()
    }

    fn next(&self) -> u64 {
        self.lines.keys().next_back().map_or(1, |last| last + 1)
    }

    /// Gives it this as its next line.
    fn give(&mut self, running: &mut Running, line: String) {
        running.line(&line);
        self.lines.insert(self.next(), line);
    }

    /// Gives it so many further lines of all sorts.
    fn feed(&mut self, running: &mut Running, lines: u64) {
        for n in self.next()..self.next() + lines {
            let line = self.site.line(n);
            self.give(running, line);
        }
    }

    /// A line of which nothing comes before its gate is open. It is on the wire.
    fn feed_gated(&mut self, running: &mut Running) -> u64 {
        let (n, before) = (self.next(), self.site.origin.requests().len());
        let line = self.site.gated(n);
        self.give(running, line);
        self.site.origin.wait_for_requests(before + 1);
        n
    }

    fn received(&self) -> usize {
        self.consumer.received().len()
    }

    fn wait_for(&self, records: usize) {
        until("a record", || self.received() >= records);
    }

    /// Kills it. Its producer goes on from what was accepted.
    fn kill(&mut self, running: Running) {
        running.kill();
        self.consumer.wait_for_the_end();
        let accepted = self.site.account("accepted");
        self.lines.retain(|n, _| *n <= accepted);
    }

    /// Stops it; the lines that are left wait for the next start.
    fn stop(&mut self, mut running: Running) {
        running.signal(Signal::SIGTERM);
        let ended = running.wait();
        assert!(matches!(ended.code, Some(0 | 4)), "{}: {}", self.row, ended.stderr);
        self.consumer.wait_for_the_end();
    }

    /// Ends its input, and takes the account.
    fn end(&mut self, mut running: Running) {
        running.stdin = None;
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{}: {}", self.row, ended.stderr);
        self.account();
    }

    fn account(&mut self) {
        self.consumer.wait_for_the_end();
        assert_accounted(&self.consumer.received(), &self.lines, self.delivery);
    }

    /// A last process does what is left.
    fn finish(&mut self) {
        let running = self.start();
        self.end(running);
    }
}

pub fn outcomes(row: &Row, _test: &str) {
    const HUGE: usize = 3_000_000;
    let mut trial = Trial::forgetful(row);
    let mut running = trial.start();
    trial.feed(&mut running, 16);
    let huge = trial.site.origin.url(&format!("/bytes/{HUGE}"));
    trial.give(&mut running, huge);
    trial.wait_for(17);
    let canceled = trial.feed_gated(&mut running);
    trial.stop(running);
    // What is left of the way to a remote end is for the next start.
    trial.finish();
    for record in trial.consumer.received() {
        let n = record["seq"].as_u64().unwrap();
        let outcome = if n == canceled {
            "canceled"
        } else if n == 17 {
            "ok"
        } else {
            Site::outcome(n)
        };
        assert_eq!(record["outcome"], outcome, "{record:#}");
        match n {
            17 => assert_eq!(record["body"].as_str().unwrap().len(), HUGE),
            8 | 16 => assert_eq!(record["body"], ""),
            5 | 13 => {
                let body = record["body_base64"].as_str().unwrap();
                assert_eq!(base64::engine::general_purpose::STANDARD.decode(body).unwrap().len(), 9_000);
            }
            1 | 9 => assert_eq!((&record["id"], &record["meta"]["n"]), (&n.into(), &n.into())),
            _ => {}
        }
    }
}

pub fn kills(row: &Row, _test: &str) {
    const LINES: u64 = 5;
    let mut trial = Trial::new(row);
    for records in 0..=LINES {
        let before = trial.received();
        let mut running = trial.start();
        trial.feed(&mut running, LINES);
        trial.wait_for(before + usize::try_from(records).unwrap());
        trial.kill(running);
    }
    trial.finish();
}

pub fn kills_in_recovery(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    let mut running = trial.start();
    trial.feed(&mut running, 5);
    trial.wait_for(5);
    let gated = trial.feed_gated(&mut running);
    trial.kill(running);
    if trial.consumer.files().is_some() {
        append(&trial, b"{\"seq\":");
    }
    for life in [0, 1, 2, 3, 5, 8, 13, 21] {
        let running = trial.start();
        running.lives_for(Duration::from_millis(life));
        trial.kill(running);
    }
    trial.site.open(gated);
    trial.finish();
}

pub fn full_disk(row: &Row, test: &str) {
    with_a_small_disk(test, |disk| {
        let mut trial = Trial::with_files_in(row, disk.path());
        let mut running = trial.start();
        trial.feed(&mut running, 3);
        trial.wait_for(3);
        disk.fill_but(0);
        let binary = trial.site.origin.url("/binary");
        for _ in 0..15 {
            trial.give(&mut running, binary.clone());
        }
        running.message("no room for");
        assert_little_memory(&running);
        disk.empty();
        running.message("there is room for");
        trial.end(running);
    });
}

pub fn write_error(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    let mut running = match trial.consumer.breakage() {
        Breakage::FileLimit => {
            let fetchd = trial.site.fetchd_with_short_files(&trial.tables());
            trial.start_as(fetchd)
        }
        Breakage::ReaderLeaves => {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            trial.site.fetchd(&trial.tables()).stdout(writer).start()
        }
    };
    let binary = trial.site.origin.url("/binary");
    for _ in 0..10 {
        // It may have ended by then: what it did not take is no line of ours.
        if running.stdin.as_mut().unwrap().write_all(format!("{binary}\n").as_bytes()).is_err() {
            break;
        }
        trial.lines.insert(trial.next(), binary.clone());
    }
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let accepted = trial.site.account("accepted");
    trial.lines.retain(|n, _| *n <= accepted);
    trial.finish();
}

pub fn stalled(row: &Row, _test: &str) {
    const MOST: usize = 2 << 20;
    let mut trial = Trial::forgetful(row);
    trial.consumer.stall(Stalls::Yes);
    let keys = "[limits]\nconcurrency = 8\nbody_memory = '8MiB'\n[fetch]\nmax_body = '1MiB'\n[queue]\nwindow = 64\ncapacity = 16\n";
    let fetchd = trial.site.fetchd(&format!("{keys}{}", trial.tables()));
    let mut running = trial.start_as(fetchd);
    let line = trial.site.origin.url(&format!("/bytes/30000?{}", "x".repeat(500)));
    let taken = fill(running.stdin.as_mut().unwrap(), format!("{line}\n").as_bytes(), MOST);
    assert!(taken < MOST, "the producer was never held up");
    assert_little_memory(&running);
    trial.lines = (1..=(taken / (line.len() + 1)) as u64).map(|n| (n, line.clone())).collect();
    trial.consumer.stall(Stalls::No);
    trial.end(running);
}

pub fn torn_end(row: &Row, _test: &str) {
    const CUTS: usize = 10;
    let mut trial = Trial::new(row);
    for cut in 0..=CUTS {
        let (running, next) = killed_before(&mut trial);
        trial.kill(running);
        let whole = trial.consumer.files().unwrap().frame(&next);
        append(&trial, &whole[..whole.len() * cut / CUTS]);
        trial.site.open(trial.next() - 1);
        trial.finish();
    }
}

pub fn foreign_bytes(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    for bytes in [&b"{\"foreign\":1}\n"[..], b"{\"foreign\":2}\n\x00\xff no record\n", b"Dear diary,\n", &[0; 5000]] {
        let (running, _) = killed_before(&mut trial);
        trial.kill(running);
        append(&trial, bytes);
        trial.site.open(trial.next() - 1);
        trial.finish();
    }
    let files = trial.consumer.files().unwrap();
    let text = String::from_utf8(files.text()).unwrap();
    let foreign = [1, 2].map(|n| text.contains(&format!("{{\"foreign\":{n}}}\n")));
    assert_eq!(foreign, [files.keeps_foreign_lines(); 2]);
}

/// A process with one more record and a line on the wire, and what that line's record could be.
fn killed_before(trial: &mut Trial) -> (Running, String) {
    let before = trial.received();
    let mut running = trial.start();
    let line = trial.site.origin.url("/ok/1");
    trial.give(&mut running, line);
    trial.wait_for(before + 1);
    let seq = trial.feed_gated(&mut running);
    let mut record = trial.consumer.received().pop().unwrap();
    record["seq"] = seq.into();
    record["input"] = Value::from(trial.lines[&seq].as_str());
    (running, format!("{record}\n"))
}

/// Adds this to the end of the file that is written to.
fn append(trial: &Trial, bytes: &[u8]) {
    let last = trial.consumer.files().unwrap().last();
    OpenOptions::new().append(true).open(last).unwrap().write_all(bytes).unwrap();
}

pub fn rotation_and_kill(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    for records in 0..6 {
        let before = trial.received();
        let mut running = trial.start();
        trial.feed(&mut running, 6);
        trial.wait_for(before + records);
        running.signal(Signal::SIGUSR1);
        if records % 2 == 1 {
            trial.wait_for(before + 6);
        }
        trial.kill(running);
    }
    trial.finish();
}

pub fn reconfigured(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    let mut running = trial.start();
    trial.feed(&mut running, 4);
    trial.wait_for(4);
    let gated = trial.feed_gated(&mut running);
    trial.stop(running);
    trial.site.open(gated);

    let more = "[sink.more.jsonl]\npath = 'more.jsonl'\n";
    let renamed = format!("{DURABLE}{}", trial.consumer.table("renamed"));
    for (tables, records) in [(format!("{}{more}", trial.tables()), 8), (renamed, 11)] {
        let fetchd = trial.site.fetchd(&tables);
        let mut running = trial.start_as(fetchd);
        trial.feed(&mut running, 3);
        trial.wait_for(records);
        trial.stop(running);
    }
    let more = std::fs::read_to_string(trial.site.path("more.jsonl")).unwrap();
    assert_eq!(more.lines().count(), 4, "that of the line that was left, and three");
    trial.finish();
}

pub fn remote(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    let mut running = trial.start();
    for fault in [Fault::Down, Fault::Slow, Fault::ServerError, Fault::Unauthorized] {
        let before = trial.received();
        trial.consumer.fail(Some(fault));
        trial.feed(&mut running, 4);
        // Fetching goes on meanwhile.
        let lines = trial.next() - 1;
        until("the account", || trial.site.account("done") == lines);
        trial.consumer.fail(None);
        trial.wait_for(before + 4);
    }
    trial.consumer.fail(Some(Fault::Down));
    trial.feed(&mut running, 4);
    trial.kill(running);
    trial.consumer.fail(None);
    trial.finish();
}

pub fn lock(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    let mut first = trial.start();
    trial.feed(&mut first, 1);
    trial.wait_for(1);
    let other_state = format!("[state]\ndata_dir = 'other'\n{}", trial.tables());
    let second = trial.site.fetchd(&other_state).run(trial.site.line(7));
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    trial.feed(&mut first, 7);
    trial.end(first);
}

pub fn outside_reader(row: &Row, _test: &str) {
    let mut trial = Trial::new(row);
    let mut running = trial.start();
    trial.feed(&mut running, 24);
    trial.end(running);
    trial.consumer.assert_readable_elsewhere();
}

/// That a process never had more memory than a case needs (`VmHWM` of proc(5)).
fn assert_little_memory(running: &Running) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid)).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kibibytes << 10 < MOST_MEMORY, "{} MiB of memory", kibibytes >> 10);
}

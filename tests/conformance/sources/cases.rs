//! What every source must do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::Instant;

use super::{Absent, Producer, Row};
use crate::common::fetchd::{Ended, Running};
use crate::site::{Delivery, Site, assert_accounted, until};

const OUTPUT: &str = "[sink.out.jsonl]\npath = 'out.jsonl'\n";

/// With room for few lines at once.
const NARROW: &str = "[limits]\nconcurrency = 4\n[queue]\nwindow = 16\ncapacity = 4\n";

/// A source with its producer, and the lines that this gives.
struct Trial {
    site: Site,
    producer: Box<dyn Producer>,
    is_durable: bool,
    keys: &'static str,
    /// In their order; each has its LF.
    lines: Vec<String>,
}

impl Trial {
    /// With so many lines whose gates are closed.
    fn new(row: &Row, lines: u64) -> Self {
        let site = Site::new();
        let producer = (row.producer)(&site);
        let is_durable = row.config().sources[0].component.is_durable();
        let mut trial = Self { site, producer, is_durable, keys: "", lines: Vec::new() };
        trial.extend(lines);
        trial
    }

    fn extend(&mut self, lines: u64) {
        let next = self.lines.len() as u64 + 1;
        let line = |n| {
            let following = (n + 1 < next + lines).then(|| self.site.origin.url(&format!("/gated/{}", n + 1)));
            self.site.gated_with(n, &self.producer.answer(n, following)) + "\n"
        };
        let lines: Vec<_> = (next..next + lines).map(line).collect();
        self.lines.extend(lines);
    }

    /// Answers requests of these lines.
    fn open(&self, lines: impl IntoIterator<Item = u64>) {
        lines.into_iter().for_each(|n| self.site.open(n));
    }

    fn open_all(&self) {
        self.open(1..=self.lines.len() as u64);
    }

    /// Starts it, and gives it what it has not accepted.
    fn start(&mut self) -> Running {
        let accepted = if self.is_durable { usize::try_from(self.site.account("accepted")).unwrap() } else { 0 };
        self.producer.before(self.lines.concat().as_bytes());
        let mut running = self.site.fetchd(&format!("{}{OUTPUT}{}", self.keys, self.producer.table())).start();
        let rest = self.lines.get(accepted..).unwrap_or_default().concat();
        self.producer.after(&mut running, rest.as_bytes());
        running
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.site.path("out.jsonl")).unwrap_or_default();
        // The last line may just be on its way.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn wait_for(&self, records: usize) {
        let path = self.site.path("out.jsonl");
        let count = || memchr::memchr_iter(b'\n', &fs::read(&path).unwrap_or_default()).count();
        until("a record", || count() >= records);
    }

    /// Stops it while lines are left.
    fn stop(&self, mut running: Running) -> Ended {
        running.wait_until_it_can_be_stopped();
        let asked = Instant::now();
        running.signal(Signal::SIGTERM);
        let ended = running.wait();
        assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.stderr);
        assert!(asked.elapsed() < Duration::from_secs(5), "the grace period is 300 ms");
        ended
    }

    /// Lets it end when all lines have their records, and takes the account.
    fn end(&mut self, running: Running) {
        self.wait_for(self.lines.len());
        let ended = self.producer.end(running);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        self.account();
    }

    fn account(&self) {
        let lines = self.lines.iter().map(|line| line.trim_end().to_owned());
        assert_accounted(&self.records(), &(1..).zip(lines).collect::<BTreeMap<_, _>>(), Delivery::Once);
    }

    /// A last process does what is left.
    fn finish(&mut self) {
        let running = self.start();
        self.end(running);
    }

    fn requests(&self, n: u64) -> usize {
        self.site.origin.requests_for(&format!("/gated/{n}"))
    }
}

pub fn identity(row: &Row) {
    let mut trial = Trial::new(row, 12);
    trial.open_all();
    if trial.is_durable {
        for records in [3, 8] {
            let running = trial.start();
            trial.wait_for(records);
            running.kill();
        }
        let running = trial.start();
        trial.wait_for(12);
        trial.stop(running);
        trial.extend(4);
        trial.open_all();
    }
    trial.finish();
    let identity = |record: &Value| ["source", "file", "state_id", "seq"].map(|key| record[key].to_string());
    let identities: BTreeSet<_> = trial.records().iter().map(identity).collect();
    assert_eq!(identities.len(), trial.lines.len());
    assert!(trial.records().iter().all(|record| record["source"] == "in"));
    assert_eq!(identities.iter().map(|[.., state_id, _]| state_id).collect::<BTreeSet<_>>().len(), 1);
}

pub fn settled_once(row: &Row) {
    let mut trial = Trial::new(row, 6);
    trial.open_all();
    let running = trial.start();
    trial.wait_for(6);
    trial.stop(running);
    let running = trial.start();
    trial.end(running);
    trial.extend(2);
    trial.open_all();
    trial.finish();
    assert_eq!((1..=8).map(|n| trial.requests(n)).collect::<Vec<_>>(), [1; 8]);
}

pub fn unsettled_again(row: &Row) {
    let mut trial = Trial::new(row, 6);
    trial.open(1..=3);
    let running = trial.start();
    trial.wait_for(3);
    trial.site.origin.wait_for_requests(6);
    trial.stop(running);
    assert_eq!(trial.records().len(), 3, "what was on the wire is no record");
    trial.open(4..=6);
    trial.finish();
    assert_eq!((1..=6).map(|n| trial.requests(n)).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 2]);
}

pub fn kills(row: &Row) {
    const LINES: u64 = 5;
    for records in 0..=LINES {
        let mut trial = Trial::new(row, LINES);
        trial.open(1..=records);
        let running = trial.start();
        trial.wait_for(usize::try_from(records).unwrap());
        running.kill();
        trial.open_all();
        trial.finish();
        let again: usize = (1..=records).map(|n| trial.requests(n) - 1).sum();
        assert_eq!(again, 0, "of {records} records");
    }
}

pub fn half_line(row: &Row) {
    let mut trial = Trial::new(row, 3);
    trial.open_all();
    let mut running = trial.start();
    trial.wait_for(3);
    trial.extend(1);
    trial.open(4..=4);
    let (half, _) = trial.lines[3].split_at(30);
    trial.producer.give_half(&mut running, half.as_bytes());
    trial.stop(running);
    trial.finish();
}

pub fn back_pressure(row: &Row) {
    const MOST: usize = 4 << 20;
    let mut trial = Trial { keys: NARROW, ..Trial::new(row, 0) };
    let line = format!("{}?{}\n", trial.site.gated(1), "x".repeat(500));
    let mut running = trial.start();
    let taken = trial.producer.overfill(&mut running, line.as_bytes(), MOST);
    assert!(taken < MOST, "the producer was never held up");
    assert!(trial.site.origin.requests().len() <= 4);
    trial.lines = vec![line.clone(); taken / line.len()];
    trial.site.open(1);
    trial.end(running);
}

pub fn stop_while_blocked(row: &Row) {
    const LINES: u64 = 200;
    let mut trial = Trial { keys: NARROW, ..Trial::new(row, LINES) };
    let running = trial.start();
    trial.site.origin.wait_for_requests(4);
    let ended = trial.stop(running);
    let recorded = trial.records();
    if !trial.is_durable {
        // What it had accepted ends with it, and each line has its record.
        let accepted = ended.summary()["lines"].as_u64().unwrap();
        assert!((4..=16).contains(&accepted) && recorded.len() as u64 == accepted, "{accepted} {}", recorded.len());
        assert!(recorded.iter().all(|record| record["outcome"] == "canceled"), "{recorded:#?}");
        return;
    }
    assert!(recorded.is_empty(), "{recorded:#?}");
    trial.open_all();
    trial.finish();
}

pub fn garbage(row: &Row) {
    let mut trial = Trial::new(row, 1);
    let good = trial.lines[0].trim_end().to_owned();
    trial.open_all();
    let long = format!("{good}?{}", "x".repeat(2_000));
    let lines: [(&[u8], &str); 10] = [
        (good.as_bytes(), "ok"),
        (b"\xff\xfe no text", "rejected"),
        (b"no url", "rejected"),
        (good.as_bytes(), "ok"),
        (b"{\"url\":", "rejected"),
        (long.as_bytes(), "rejected"),
        (b"\0\x01\x02", "rejected"),
        (b"{\"input\":[[[[", "rejected"),
        (good.as_bytes(), "ok"),
        (b"ftp://h/", "rejected"),
    ];
    // Blank lines, and other ends of lines, count for nothing.
    let text = lines.map(|(line, _)| [b"\n \t\r\n", line, b"\r\n"].concat()).concat();
    trial.producer.before(&text);
    let mut running = trial.site.fetchd(&format!("{OUTPUT}{}", trial.producer.table())).start();
    trial.producer.after(&mut running, &text);
    trial.wait_for(lines.len());
    let ended = trial.producer.end(running);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let outcomes: BTreeMap<_, _> =
        trial.records().iter().map(|record| (record["seq"].as_u64().unwrap(), record["outcome"].clone())).collect();
    let expected: BTreeMap<_, _> = (1..).zip(lines.map(|(_, outcome)| Value::from(outcome))).collect();
    assert_eq!(outcomes, expected);
    assert_eq!((trial.records().len(), trial.requests(1)), (lines.len(), 3));
}

pub fn absent(row: &Row) {
    let mut trial = Trial::new(row, 2);
    trial.open_all();
    let tables = format!("{OUTPUT}{}", trial.producer.table());
    match trial.producer.without_producer() {
        Absent::Ends => {
            let ended = trial.site.fetchd(&tables).run("");
            assert_eq!((ended.code, trial.records().len()), (Some(0), 0), "{}", ended.stderr);
        }
        Absent::IsRefused => {
            let ended = trial.site.fetchd(&tables).run("");
            assert_eq!((ended.code, trial.records().len()), (Some(2), 0), "{}", ended.stderr);
        }
        Absent::Waits => {
            let mut running = trial.site.fetchd(&tables).start();
            until("the output", || trial.site.path("out.jsonl").exists());
            trial.producer.before(trial.lines.concat().as_bytes());
            trial.producer.after(&mut running, trial.lines.concat().as_bytes());
            return trial.end(running);
        }
    }
    trial.finish();
}

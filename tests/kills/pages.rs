//! A walk from page to page under `kill -9`: whenever the process dies, every page has exactly one record in each output, and
//! none is skipped.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::origin::Origin;
use crate::outputs::{Form, Read};

/// Items of a page.
const SIZE: u64 = 3;

/// The sinks: both take every record, and one of them leaves bodies out.
const SINKS: [&str; 2] = ["whole", "slim"];

/// How long an output is waited for, at most: compressed ones grow by whole frames.
const MOST: Duration = Duration::from_secs(2);

/// What the kills have hit.
#[derive(Debug, Default)]
pub struct Seen {
    /// Pages were in the outputs that the checkpoint did not know of.
    written: u32,
    /// A page was asked for again.
    pub asked_again: u32,
}

impl Seen {
    pub fn all(&self) -> bool {
        self.written > 0 && self.asked_again > 0
    }
}

pub struct Pages<'a> {
    dir: TempDir,
    origin: &'a Origin,
    form: Form,
    lives: u32,
    pub seen: Seen,
}

impl<'a> Pages<'a> {
    pub fn new(origin: &'a Origin, form: Form) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (keys, url) = (form.keys(), origin.url(&format!("/items/1000000/{SIZE}")));
        let sink = |name: &str, more: &str| format!("[sink.{name}.jsonl]\npath = '{name}.jsonl'\n{more}\n{keys}\n");
        let toml = format!(
            "network.allow = ['127.0.0.0/8']\nstate.data_dir = 'state'\n[source.api.pages]\nurl = '{url}'\nmax_pages = 1000000\nnext = {{ cursor = '/meta/cursor', param = 'after' }}\nitems = '/data'\n{}{}",
            sink(SINKS[0], ""),
            sink(SINKS[1], "body = 'none'")
        );
        fs::write(dir.path().join("fetchd.toml"), toml).unwrap();
        Self { dir, origin, form, lives: 0, seen: Seen::default() }
    }

    fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        command.args(["-c", "fetchd.toml", "-q"]).current_dir(self.dir.path()).stdin(Stdio::null()).spawn().unwrap()
    }

    /// Lets the process walk on for so long after its outputs have grown; then kills it. One life in four ends sooner: while
    /// it recovers what the last one has left.
    pub fn live_for(&mut self, time: Duration) {
        self.lives += 1;
        let (sent, before) = (self.origin.requests().len(), self.size());
        let mut child = self.start();
        if !self.lives.is_multiple_of(4) {
            self.origin.wait_for_requests(sent + 1);
            let begin = Instant::now();
            while self.size() <= before && begin.elapsed() < MOST {
                std::thread::yield_now();
            }
        }
        let begin = Instant::now();
        while begin.elapsed() < time {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        self.look();
    }

    /// Bytes of all outputs, whatever their names.
    fn size(&self) -> u64 {
        fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().metadata().map_or(0, |file| file.len())).sum()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn look(&mut self) {
        let checkpoint = fs::read(self.path("state/checkpoint.json")).unwrap_or_default();
        let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap_or_default();
        let known = checkpoint["sources"]["api"]["position"]["number"].as_u64().unwrap_or(0);
        self.seen.written += u32::from(Read::files(self.dir.path(), SINKS[0]).count() > known);
        let targets: Vec<_> = self.origin.requests().into_iter().map(|request| request.target).collect();
        self.seen.asked_again = targets.windows(2).filter(|pair| pair[0] == pair[1]).count() as u32;
    }

    /// Lets a last process walk on, and stops it; each page has its one record in each output then, and none is missing.
    pub fn account(&self) {
        // While it starts, SIGTERM would end it as SIGKILL does.
        let sent = self.origin.requests().len();
        let mut child = self.start();
        self.origin.wait_for_requests(sent + 1);
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success());
        let numbers = SINKS.map(|sink| {
            let read = Read::files(self.dir.path(), sink);
            assert!(!read.is_torn);
            let records = read.records();
            (0..).zip(&records).for_each(|(place, record)| check(record, place));
            records.len()
        });
        assert_eq!(numbers[0], numbers[1]);
        let whole = Read::files(self.dir.path(), SINKS[0]).records();
        let items = whole.iter().flat_map(|record| record["json"]["data"].as_array().unwrap());
        let ids: Vec<_> = items.map(|item| item["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, (1..=numbers[0] as u64 * SIZE).collect::<Vec<_>>(), "{:?}", self.form);
    }
}

/// A record is that of the page at its place: a walk has one page after the other.
fn check(record: &Value, place: u64) {
    let page = &record["page"];
    let found = (record["seq"].as_u64(), page["number"].as_u64(), page["items"].as_u64(), page["walk"].as_u64());
    assert_eq!(found, (Some(place + 1), Some(place + 1), Some(SIZE), Some(1)), "{record}");
    assert_eq!(record["outcome"], "ok");
}

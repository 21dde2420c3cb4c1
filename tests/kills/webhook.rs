//! A webhook under `kill -9`: whenever the process dies, each accepted line's record arrives, and what arrives more than once has
//! the same id and the same bytes each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::origin::Origin;
use crate::common::receiver::{Receiver, Reply};

/// A run whose records go to a receiver that fails now and then.
pub struct Shipping {
    dir: TempDir,
    config: PathBuf,
    address: String,
    receiver: Receiver,
    /// Lines that were accepted, by the journal's own account.
    accepted: u64,
    pub hits: Hits,
}

/// What the kills have hit.
#[derive(Debug, Default)]
pub struct Hits {
    /// A message came again.
    pub repeats: usize,
    /// Records were left that had not arrived.
    pub left: usize,
}

impl Hits {
    pub fn all(&self) -> bool {
        self.repeats > 0 && self.left > 0
    }
}

impl Shipping {
    pub fn new(origin: &Origin, seed: u64) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        let receiver = Receiver::start_with(move |_| match random.lock().unwrap().u8(..20) {
            0 => Reply::Status(503),
            1 => Reply::Breaks,
            2 => Reply::TakesAndBreaks,
            3 | 4 => Reply::Late(Duration::from_millis(30), 200),
            _ => Reply::Status(200),
        });
        let dir = tempfile::tempdir().unwrap();
        let (state, config) = (dir.path().join("state"), dir.path().join("fetchd.toml"));
        let sink = receiver.sink("hook", "");
        let toml = format!(
            "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = {state:?}\nmin_free = \"1MiB\"\n\
             [network]\nallow = [\"127.0.0.0/8\"]\n[hosts.\"*\"]\nconcurrency = 64\n{sink}"
        );
        fs::write(&config, toml).unwrap();
        Self { dir, config, address: origin.authority(), receiver, accepted: 0, hits: Hits::default() }
    }

    fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        command.arg("-c").arg(&self.config).arg("-q").stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the process for so long, gives it so many new lines, and kills it.
    pub fn live_for(&mut self, time: Duration, lines: u64) {
        let mut child = self.start();
        let mut stdin = child.stdin.take().unwrap();
        let (failed, has_failed) = sync_channel(1);
        std::thread::scope(|scope| {
            let (address, first, failed) = (&self.address, self.accepted + 1, &failed);
            scope.spawn(move || {
                let mut lines = (first..first + lines).map(|n| format!("http://{address}/ok/{n}"));
                if lines.try_for_each(|line| writeln!(stdin, "{line}")).is_err() {
                    failed.send(()).unwrap();
                }
                // The pipe stays open: the process ends only when it is killed.
                stdin
            });
            assert_eq!(has_failed.recv_timeout(time), Err(RecvTimeoutError::Timeout), "it ended before it was killed");
            self.wait_for_a_message();
            child.kill().unwrap();
        });
        child.wait().unwrap();
        self.accepted = self.status()["accepted"].as_u64().unwrap_or(self.accepted);
    }

    /// Waits until a message comes, so that the kill has a chance to hit it before its segment goes, but not for long.
    fn wait_for_a_message(&self) {
        const MOST: Duration = Duration::from_millis(200);
        let (begin, before) = (Instant::now(), self.receiver.count());
        while begin.elapsed() < MOST && self.receiver.count() == before {}
    }

    /// What came of the kills so far.
    pub fn look(&mut self) {
        let staging = fs::read_dir(self.dir.path().join("state/staging"));
        let length = |file: io::Result<DirEntry>| file.unwrap().metadata().unwrap().len();
        self.hits.left += usize::from(staging.is_ok_and(|mut files| files.any(|file| length(file) > 0)));
        let taken = self.receiver.posts().iter().filter(|post| post.is_taken).count();
        self.hits.repeats = taken - self.receiver.taken().len();
    }

    /// The source's account by `fetchd state status`; nothing when it was killed before there was any.
    fn status(&self) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .args(["state", "status", "--json", "-c"])
            .arg(&self.config)
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["sources"]["urls"].clone()
    }

    /// Lets a last process finish what was accepted.
    pub fn finish(&self) {
        let mut child = self.start();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert_eq!(self.status()["pending"].as_u64(), Some(0));
        self.account();
    }

    /// Every accepted line arrived, under one id.
    fn account(&self) {
        let mut ids = BTreeMap::<u64, BTreeSet<String>>::new();
        for post in self.receiver.posts() {
            for record in post.records() {
                let line = record["seq"].as_u64().unwrap();
                assert_eq!(record["json"]["n"], line);
                ids.entry(line).or_default().insert(post.id());
            }
        }
        assert!(ids.values().all(|ids| ids.len() == 1), "a record came under two ids");
        let arrived: BTreeSet<u64> =
            self.receiver.records().iter().map(|record| record["seq"].as_u64().unwrap()).collect();
        assert!(arrived.iter().copied().eq(1..=self.accepted), "{} of {} lines arrived", arrived.len(), self.accepted);
    }
}

//! Where a case takes place: a directory, a server, the lines that are given, and the account of what came of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, Step, ok_with, refusing_address, send};

/// What holds in every case: lines fail at once, and a stop takes no longer than this.
const KEYS: &str = "[retry]\nretries = 0\n[health]\nenabled = false\n[shutdown]\ngrace = '1s'\n";

/// The data directory of a case.
const STATE: &str = "[state]\ndata_dir = 'state'\nmin_free = '1'\n";

/// Bytes that no compression makes much shorter, and that are no text.
const BINARY: usize = 9_000;

pub struct Site {
    dir: TempDir,
    pub origin: Origin,
    gates: Mutex<BTreeMap<u64, Arc<Semaphore>>>,
}

impl Site {
    pub fn new() -> Self {
        let origin = Origin::start();
        let mut random = fastrand::Rng::with_seed(7);
        let binary: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(BINARY).collect();
        origin.play("/binary", [send(ok_with("", &binary))]);
        origin.play("/empty", [send(ok_with("", b""))]);
        Self { dir: tempfile::tempdir().unwrap(), origin, gates: Mutex::default() }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// In the directory, with these tables.
    pub fn fetchd(&self, tables: &str) -> Fetchd {
        self.complete(Fetchd::local(), tables)
    }

    /// The same, where no file may have more than 8 KiB.
    pub fn fetchd_with_short_files(&self, tables: &str) -> Fetchd {
        let script = "ulimit -f 16 && exec \"$0\" --allow 127.0.0.0/8 \"$@\"";
        self.complete(Fetchd::in_shell(script), tables)
    }

    fn complete(&self, fetchd: Fetchd, tables: &str) -> Fetchd {
        let state = if tables.contains("[state]") { "" } else { STATE };
        fetchd.directory(self.dir()).config(&format!("{KEYS}{state}{tables}"))
    }

    /// A line whose answer waits until its gate is open.
    pub fn gated(&self, n: u64) -> String {
        self.gated_with(n, &json!({ "n": n }))
    }

    /// The same with this answer.
    pub fn gated_with(&self, n: u64, answer: &Value) -> String {
        let gate = Arc::clone(self.gates.lock().unwrap().entry(n).or_insert_with(|| Arc::new(Semaphore::new(0))));
        let answer = ok_with("content-type: application/json\r\n", answer.to_string().as_bytes());
        self.origin.play(&format!("/gated/{n}"), [Step::WaitInLine(gate, Duration::ZERO), send(answer)])
    }

    /// Lets all requests of this line be answered.
    pub fn open(&self, n: u64) {
        self.gates.lock().unwrap()[&n].add_permits(1);
    }

    /// A line of this number: all outcomes that a line can have by itself, and odd bodies.
    pub fn line(&self, n: u64) -> String {
        match n % 8 {
            0 => self.origin.url("/empty"),
            1 => json!({ "url": self.origin.url(&format!("/ok/{n}")), "id": n, "meta": { "n": n } }).to_string(),
            2 => self.origin.url("/status/404"),
            3 => format!("http://{}/", refusing_address()),
            4 => format!("no url {n}"),
            5 => self.origin.url("/binary"),
            6 => self.origin.url("/bytes/300"),
            _ => self.origin.url(&format!("/ok/{n}")),
        }
    }

    /// How such a line ends.
    pub fn outcome(n: u64) -> &'static str {
        match n % 8 {
            2 => "http_error",
            3 => "failed",
            4 => "rejected",
            _ => "ok",
        }
    }

    /// What the source `in` says it has accepted, and what of it is settled; nothing while there is no account.
    pub fn account(&self, what: &str) -> u64 {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .args(["state", "status", "--json", "--data-dir", "state"])
            .current_dir(self.dir())
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["sources"]["in"][what].as_u64().unwrap_or(0)
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} was due");
        std::thread::yield_now();
    }
}

/// How often a record may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once, over any kill.
    Once,
    /// Once without a kill; after one it may come again, with the same identity.
    AtLeastOnce,
}

/// That there is a record of each line from 1 to the last, and of no other; each is the line's own.
pub fn assert_accounted(records: &[Value], lines: &BTreeMap<u64, String>, delivery: Delivery) {
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    for record in records {
        let seq = record["seq"].as_u64().unwrap();
        let line = lines.get(&seq).unwrap_or_else(|| panic!("nobody gave a line of this number: {record:#}"));
        let input: Value = serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.clone()));
        assert_eq!(record["input"], input, "{record:#}");
        *times.entry(seq).or_default() += 1;
    }
    for seq in lines.keys() {
        let times = times.get(seq).copied().unwrap_or(0);
        let is_right = times == 1 || (times > 1 && delivery == Delivery::AtLeastOnce);
        assert!(is_right, "line {seq} has {times} records, of {} lines", lines.len());
    }
}

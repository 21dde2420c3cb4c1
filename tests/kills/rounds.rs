//! Rounds under `kill -9`: whenever the process dies, each round of each line has exactly one record, and a round has all
//! lines whose newest record failed when it began.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::origin::Origin;
use crate::outputs::{Form, Read};

/// Lines of the input.
const LINES: u64 = 120;

/// The sinks: between them they have every record once.
const SINKS: [&str; 2] = ["ok", "bad"];

/// What the kills have hit.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines were being selected.
    selecting: u32,
    /// A round was open, and not finished.
    open: u32,
    /// Of these, one had records that the checkpoint did not know of.
    written: u32,
    /// A round was finished.
    finished: u32,
    /// A round began whose records were in files that had been moved away.
    moved: u32,
}

impl Seen {
    pub fn all(&self) -> bool {
        self.selecting > 0 && self.open > 1 && self.written > 0 && self.finished > 2 && self.moved > 0
    }
}

pub struct Rounds {
    dir: TempDir,
    form: Form,
    /// How often outputs were moved away.
    moves: u32,
    /// No round has begun since.
    has_just_moved: bool,
    /// The mean time of the last starts that were not killed.
    pub whole_life: Duration,
    pub seen: Seen,
}

impl Rounds {
    /// All lines were fetched once.
    pub fn new(origin: &Origin, form: Form) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let whole_life = Duration::from_millis(2 * form.longest_life());
        let this = Self { dir, form, moves: 0, has_just_moved: false, whole_life, seen: Seen::default() };
        fs::create_dir(this.kept()).unwrap();
        // They take time to be read.
        fs::write(this.kept().join("of-another-state.jsonl"), foreign_records()).unwrap();
        let lines: String = (1..=LINES).map(|n| line(origin, n) + "\n").collect();
        fs::write(this.path("urls.txt"), lines).unwrap();
        let keys = form.keys();
        let sink = |name: &str, more: &str| format!("[sink.{name}.jsonl]\npath = \"{name}.jsonl\"\n{more}\n{keys}\n");
        let (ok, bad) = (sink("ok", "records = \"ok\""), sink("bad", "records = \"not_ok\"\nbody = \"none\""));
        let toml = format!(
            "network.allow = [\"127.0.0.0/8\"]\nstate.data_dir = \"state\"\nretry.retries = 0\nhosts.\"*\".concurrency = 2\n[source.urls.file]\npaths = [\"urls.txt\"]\n{ok}{bad}"
        );
        fs::write(this.path("fetchd.toml"), toml).unwrap();
        assert!(this.start(None).wait().unwrap().success());
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn kept(&self) -> PathBuf {
        self.path("kept")
    }

    /// The process, with a selection if it is to begin a round. What was moved away is named.
    fn start(&self, again: Option<&str>) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        command.args(["-c", "fetchd.toml", "-q"]).current_dir(self.dir.path()).stdin(Stdio::null());
        if let Some(selection) = again {
            command.args(["--again", selection]);
            for file in files(&self.kept()) {
                command.arg("--from").arg(file);
            }
        }
        command.spawn().unwrap()
    }

    /// Begins a round, or goes on with the open one, and kills the process after this time, unless it has ended by then.
    pub fn live_for(&mut self, time: Duration) {
        let (was_open, before, begin) = (self.open_round().is_some(), self.checkpoint(), Instant::now());
        let mut child = self.start(Some("not_ok"));
        let ended = loop {
            match child.try_wait().unwrap() {
                None if begin.elapsed() < time => std::thread::sleep(Duration::from_millis(1)),
                ended => break ended,
            }
        };
        let lived = begin.elapsed();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(ended.is_none_or(|status| status.success()), "{ended:?}");
        let round = self.open_round();
        let has_begun = ended.is_some() || round.is_some();
        if ended.is_some() {
            self.whole_life = (3 * self.whole_life + lived) / 4;
        }
        self.seen.finished += u32::from(ended.is_some());
        self.seen.open += u32::from(ended.is_none() && has_begun);
        self.seen.written +=
            u32::from(round.is_some_and(|round| self.written(&round["number"]) > round["done"].as_u64()));
        // What is written first after the recovery is the checkpoint that opens the round.
        self.seen.selecting += u32::from(!was_open && !has_begun && self.checkpoint() != before);
        if has_begun {
            self.seen.moved += u32::from(std::mem::take(&mut self.has_just_moved));
        }
    }

    /// How many records of a round are in the outputs.
    fn written(&self, round: &Value) -> Option<u64> {
        let records = SINKS.into_iter().flat_map(|sink| Read::files(self.dir.path(), sink).records());
        Some(records.filter(|record| record["round"] == *round).count() as u64)
    }

    /// Which file the checkpoint is: it is replaced each time that it is written.
    fn checkpoint(&self) -> u64 {
        fs::metadata(self.path("state/checkpoint.json")).unwrap().ino()
    }

    /// Moves all outputs away, if no round is open and a process has ended in good order; they are named by the next ones.
    pub fn move_outputs(&mut self) {
        assert!(self.start_plainly().wait().unwrap().success());
        self.moves += 1;
        for sink in SINKS {
            for file in files(self.dir.path()) {
                let name = file.file_name().unwrap().to_str().unwrap().to_owned();
                if let Some(rest) = name.strip_prefix(sink) {
                    fs::rename(&file, self.kept().join(format!("{sink}-m{}{rest}", self.moves))).unwrap();
                }
            }
        }
        self.has_just_moved = true;
    }

    /// A start that finishes what is open. Where outputs have just been moved away, it has to be told of them.
    fn start_plainly(&self) -> Child {
        self.start(self.has_just_moved.then_some("not_ok"))
    }

    fn open_round(&self) -> Option<Value> {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .args(["state", "status", "--json", "--data-dir", "state"])
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status.get("round").cloned()
    }

    /// Lets a last process finish what is open; each line has its records then, and there is nothing else.
    pub fn account(&self) {
        assert!(self.start_plainly().wait().unwrap().success());
        assert!(self.open_round().is_none() && files(&self.path("state/rounds")).is_empty());
        let mut records: BTreeMap<(u64, u64), bool> = BTreeMap::new();
        for (dir, sink) in [self.dir.path(), &self.kept()].into_iter().flat_map(|dir| SINKS.map(|sink| (dir, sink))) {
            let read = Read::files(dir, sink);
            assert!(!read.is_torn);
            for record in read.records() {
                let round = record.get("round").map_or(1, |round| round.as_u64().unwrap());
                let is_ok = record["outcome"] == "ok";
                assert_eq!(is_ok, sink == "ok");
                let first = records.insert((round, record["seq"].as_u64().unwrap()), is_ok);
                assert_eq!(first, None, "{:?}: twice in one round: {record}", self.form);
            }
        }
        let of_round = |wanted: u64| -> BTreeMap<u64, bool> {
            records.iter().filter(|((round, _), _)| *round == wanted).map(|((_, seq), is_ok)| (*seq, *is_ok)).collect()
        };
        let mut newest = of_round(1);
        assert!(newest.keys().copied().eq(1..=LINES));
        let last = records.last_key_value().unwrap().0.0;
        assert!(last > 2, "{last} rounds");
        for round in 2..=last {
            let failed: BTreeSet<u64> = newest.iter().filter(|(_, is_ok)| !**is_ok).map(|(seq, _)| *seq).collect();
            let again = of_round(round);
            assert_eq!(again.keys().copied().collect::<BTreeSet<_>>(), failed, "{:?}: round {round}", self.form);
            newest.extend(again);
        }
    }
}

/// Records of another data directory.
fn foreign_records() -> String {
    let record = |n| {
        format!(r#"{{"seq":{n},"source":"urls","file":"urls.txt","state_id":"other","round":9,"outcome":"failed"}}"#)
    };
    (1..=20_000).map(|n| record(n) + "\n").collect()
}

/// The line of a number: some are never ok, and some are from the second or third time on.
fn line(origin: &Origin, n: u64) -> String {
    match n % 10 {
        3 => format!(r#"{{"url":"{}","id":{n}}}"#, origin.url("/status/404")),
        5 => format!("no url {n}"),
        7 => origin.url(&format!("/flaky/{}?{n}", n % 3 + 1)),
        _ => origin.url(&format!("/ok/{n}")),
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

//! A durable source with its data directory and its output, each where a test wants it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::common::fetchd::{Fetchd, Running, seq};
use crate::common::origin::{Origin, Step, ok_with, send};
use crate::process::until;
use crate::scenario::seqs;

pub struct Place {
    dir: TempDir,
    pub state: PathBuf,
    pub output: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (state, output) = (dir.path().join("state"), dir.path().join("results.jsonl"));
        Self { dir, state, output }
    }

    /// With the data directory below another one.
    pub fn with_state_in(dir: &Path) -> Self {
        Self { state: dir.join("state"), ..Self::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The first file of the journal.
    pub fn segment(&self) -> PathBuf {
        self.state.join("journal/urls/00000000000000000001.lines")
    }

    /// Records go to the output, and to standard output, where each can be waited for. It has little time to stop, and
    /// leaves no room on the disk.
    pub fn config(&self) -> String {
        let (state, output) = (self.state.display(), self.output.display());
        format!(
            "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = '{state}'\nmin_free = '1'\n[shutdown]\ngrace = '100ms'\n\
             [sink.seen.stdout]\n[sink.results.jsonl]\npath = '{output}'\n"
        )
    }

    pub fn fetchd(&self) -> Fetchd {
        Fetchd::local().config(&self.config())
    }

    /// What `fetchd state` says, and its exit code.
    pub fn journal(&self, command: &str) -> (Option<i32>, String) {
        let mut journal = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        let output = journal.args(["state", command, "--data-dir"]).arg(&self.state).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// A number out of the journal's own account; it is nothing as long as there is none.
    pub fn count(&self, what: &str) -> u64 {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .args(["state", "status", "--json", "--data-dir"])
            .arg(&self.state)
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["sources"]["urls"][what].as_u64().unwrap_or(0)
    }

    /// Gives it lines one by one, each when all is written down about the one before.
    pub fn one_by_one(&self, fetchd: &mut Running, origin: &Origin, numbers: impl IntoIterator<Item = u64>) {
        for n in numbers {
            fetchd.line(&origin.url(&format!("/ok/{n}")));
            assert_eq!(seq(&fetchd.record()), n);
            until("the checkpoint", || self.count("done") == n);
        }
    }

    /// Lets a new process finish what was accepted, and these further lines.
    pub fn finish(&self, origin: &Origin, numbers: impl IntoIterator<Item = u64>) {
        let lines: String = numbers.into_iter().map(|n| origin.url(&format!("/ok/{n}")) + "\n").collect();
        let ended = self.fetchd().run(lines);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// The numbers of the records, in order.
    pub fn recorded(&self) -> Vec<u64> {
        let mut seqs = seqs(&fs::read_to_string(&self.output).unwrap());
        seqs.sort_unstable();
        seqs
    }
}

/// A path whose requests are not answered before the gate is open; its URL, and the gate.
pub fn gated(origin: &Origin) -> (String, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Step::WaitInLine(Arc::clone(&gate), Duration::ZERO);
    (origin.play("/gated", [wait, send(ok_with("", b"at last"))]), gate)
}

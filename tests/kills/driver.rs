//! Starts, feeds and kills the process, and keeps the account.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::origin::{Origin, ok_with, send};
use crate::outputs::{Form, Read};

pub struct Driver {
    dir: TempDir,
    config: PathBuf,
    form: Form,
    address: String,
    /// Lines that were accepted, by the journal's own account.
    accepted: u64,
}

/// What a kill has left.
pub struct After {
    /// An output ends in the middle of something.
    pub is_torn: bool,
    /// Records that are not in the checkpoint.
    pub already_written: u64,
}

impl Driver {
    pub fn new(origin: &Origin, form: Form) -> Self {
        // A text that does not compress well, and is written for long enough to be hit by a kill.
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(b' '..b'\\')).take(3_000_000).collect();
        origin.play("/noise", [send(ok_with("content-type: text/plain\r\n", &noise))]);
        let dir = tempfile::tempdir().unwrap();
        let (path, keys) = (dir.path().display(), form.keys());
        let config = dir.path().join("fetchd.toml");
        let toml = format!(
            r#"
            [source.urls.stdin]
            durable = true
            [state]
            data_dir = "{path}/state"
            min_free = "1MiB"
            [network]
            allow = ["127.0.0.0/8"]
            [hosts."*"]
            concurrency = 64
            [sink.all.jsonl]
            path = "{path}/all.jsonl"
            {keys}
            [sink.bad.jsonl]
            path = "{path}/bad.jsonl"
            records = "not_ok"
            body = "none"
            {keys}
            "#
        );
        fs::write(&config, toml).unwrap();
        Self { config, dir, form, address: origin.authority(), accepted: 0 }
    }

    /// The line of a number, and whether its outcome is `ok`. Some answers are large, so that writing takes its time.
    fn line(&self, n: u64) -> (String, bool) {
        let address = &self.address;
        match n % 10 {
            3 => (format!(r#"{{"url":"http://{address}/status/404","id":{n}}}"#), false),
            5 => (format!("no url {n}"), false),
            7 if n % 40 == 7 => (format!(r#"{{"url":"http://{address}/noise","id":{n}}}"#), true),
            _ => (format!("http://{address}/ok/{n}"), true),
        }
    }

    fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        command.arg("-c").arg(&self.config).arg("-q");
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the process for so long, gives it so many new lines, and kills it.
    pub fn live_for(&mut self, time: Duration, lines: u64) {
        let mut child = self.start();
        let mut stdin = child.stdin.take().unwrap();
        let (failed, has_failed) = sync_channel(1);
        std::thread::scope(|scope| {
            let (this, failed) = (&*self, &failed);
            scope.spawn(move || {
                let lines = this.accepted + 1..=this.accepted + lines;
                let written = lines.map(|n| this.line(n).0).try_for_each(|line| writeln!(stdin, "{line}"));
                if written.is_err() {
                    failed.send(()).unwrap();
                }
                // The pipe stays open: the process ends only when it is killed.
                stdin
            });
            assert_eq!(has_failed.recv_timeout(time), Err(RecvTimeoutError::Timeout), "it ended before it was killed");
            self.wait_for_a_write();
            child.kill().unwrap();
        });
        child.wait().unwrap();
    }

    /// Waits until the output grows, so that the kill has a chance to hit it there, but not for long.
    fn wait_for_a_write(&self) {
        const MOST: Duration = Duration::from_millis(100);
        let (begin, before) = (Instant::now(), self.output_size());
        while begin.elapsed() < MOST && self.output_size() == before {}
    }

    fn output_size(&self) -> u64 {
        fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().metadata().map_or(0, |file| file.len())).sum()
    }

    /// What the process has left behind; from here the producer goes on.
    pub fn look(&mut self) -> After {
        let status = self.status();
        let accepted = status["accepted"].as_u64().unwrap_or(0);
        assert!(accepted >= self.accepted, "{} lines were accepted, and now it is {accepted}", self.accepted);
        self.accepted = accepted;
        let (all, settled) = (self.read("all"), status["done"].as_u64().unwrap_or(0));
        After { is_torn: all.is_torn, already_written: all.count().saturating_sub(settled) }
    }

    /// The source's account by `fetchd state status`; nothing when it was killed before there was any.
    fn status(&self) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .args(["state", "status", "--json", "-c"])
            .arg(&self.config)
            .output()
            .unwrap();
        if !output.status.success() {
            assert_eq!(self.accepted, 0, "{}", String::from_utf8_lossy(&output.stderr));
            return Value::Null;
        }
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status["sources"]["urls"].clone()
    }

    fn read(&self, name: &str) -> Read {
        Read::files(self.dir.path(), name)
    }

    /// Lets a last process finish what was accepted.
    pub fn finish(&self) {
        let mut child = self.start();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        let status = self.status();
        assert_eq!((status["accepted"].as_u64(), status["pending"].as_u64()), (Some(self.accepted), Some(0)));
    }

    /// Every accepted line has its one record in each output that wants it, and there is nothing else.
    pub fn account(&self) {
        let (all, bad) = (self.read("all"), self.read("bad"));
        assert!(!all.is_torn && !bad.is_torn);
        let (all, bad) = (all.records(), bad.records());
        self.form.check_names(self.dir.path(), "all");
        let wanted = |filter: fn(bool) -> bool| (1..=self.accepted).filter(move |n| filter(self.line(*n).1));
        assert_eq!(seqs(&all), wanted(|_| true).collect::<Vec<_>>());
        assert_eq!(seqs(&bad), wanted(|is_ok| !is_ok).collect::<Vec<_>>());
        for record in &all {
            let (line, is_ok) = self.line(record["seq"].as_u64().unwrap());
            assert_eq!(record["outcome"] == "ok", is_ok, "{record}");
            let input: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            assert_eq!(record["input"], input);
        }
        assert!(bad.iter().all(|record| record.get("body").is_none()));
    }
}

/// The numbers of the records, in order.
fn seqs(records: &[Value]) -> Vec<u64> {
    let mut seqs: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    seqs.sort_unstable();
    seqs
}

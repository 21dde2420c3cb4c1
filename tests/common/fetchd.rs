//! A driver for the real binary: lines in, records out one at a time, signals, exit codes. Every wait has a deadline.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::signal::unix::SignalKind;
use tokio::time::Instant;

use super::PATIENCE;

/// A process to be started.
pub struct Fetchd {
    command: Command,
    config: Option<TempDir>,
}

impl Fetchd {
    /// With no more than the leave to fetch from loopback addresses.
    pub fn local() -> Self {
        Self::bare(["--allow", "127.0.0.0/8"])
    }

    /// With these arguments, allowed to fetch from loopback addresses.
    pub fn with<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        let mut fetchd = Self::local();
        fetchd.command.args(args);
        fetchd
    }

    /// With no arguments but these.
    pub fn bare<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        command.args(args);
        Self { command, config: None }.piped()
    }

    /// Through a shell that runs this, with the binary as `$0`.
    pub fn in_shell(script: &str) -> Self {
        let mut fetchd = Self { command: Command::new("sh"), config: None };
        fetchd.command.args(["-c", script, env!("CARGO_BIN_EXE_fetchd")]);
        fetchd.piped()
    }

    fn piped(mut self) -> Self {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self
    }

    /// With this configuration.
    pub fn config(mut self, toml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fetchd.toml");
        std::fs::write(&path, toml).unwrap();
        self.command.arg("-c").arg(path);
        self.config = Some(dir);
        self
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// In another directory.
    pub fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// With something else than a pipe of ours on stdin.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// With something else than a pipe of ours on stdout.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// With something else than a pipe of ours on stderr.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let (mut running, stdout) = self.start_unread();
        running.records = lines_of(stdout);
        running
    }

    /// Starts it and leaves its stdout to the caller.
    pub fn start_unread(mut self) -> (Running, Option<ChildStdout>) {
        stop_ignoring_signals();
        let mut child = self.command.spawn().unwrap();
        let stdout = child.stdout.take();
        let running = Running {
            pid: Pid::from_raw(child.id().try_into().unwrap()),
            stdin: child.stdin.take(),
            records: lines_of(None::<ChildStdout>),
            messages: lines_of(child.stderr.take()),
            exit: exit_of(child),
            has_ended: false,
            _config: self.config,
        };
        (running, stdout)
    }

    /// Gives it this input, to the end, and waits until it has ended.
    pub fn run(self, input: impl Into<Vec<u8>>) -> Ended {
        self.start().finish(input)
    }
}

/// Whoever runs the tests may ignore signals, as `nohup` and background jobs do, and a process passes that on to those that
/// it starts. A signal that it handles is theirs again.
fn stop_ignoring_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        for ignored in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1] {
            if mask >> (ignored as i32 - 1) & 1 == 1 {
                // The handler stays for the rest of the process.
                drop(tokio::signal::unix::signal(SignalKind::from_raw(ignored as i32)).unwrap());
            }
        }
    });
}

/// A process that was started; dropped, it is killed.
pub struct Running {
    pub pid: Pid,
    /// The pipe to its stdin, for as long as that is open.
    pub stdin: Option<ChildStdin>,
    records: Receiver<Vec<u8>>,
    messages: Receiver<Vec<u8>>,
    exit: Receiver<ExitStatus>,
    has_ended: bool,
    _config: Option<TempDir>,
}

impl Running {
    /// Writes one line, and leaves stdin open.
    pub fn line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Writes all of this from a thread, for it may be more than a pipe holds, then closes stdin.
    pub fn write_all(&mut self, input: Vec<u8>) -> JoinHandle<()> {
        let stdin = self.stdin.take();
        std::thread::spawn(move || {
            // A process that ends early does not read to the end; what it says then is the test's business.
            let _ = stdin.map(|mut stdin| stdin.write_all(&input));
        })
    }

    /// Gives it this input, to the end, and waits until it has ended.
    pub fn finish(&mut self, input: impl Into<Vec<u8>>) -> Ended {
        let writer = self.write_all(input.into());
        let ended = self.wait();
        writer.join().unwrap();
        ended
    }

    /// The next record.
    pub fn record(&self) -> Value {
        self.record_within(PATIENCE)
    }

    /// The next record, which must come soon.
    pub fn record_within(&self, time: Duration) -> Value {
        match self.records.recv_timeout(time) {
            Ok(line) => parse(&line),
            Err(RecvTimeoutError::Timeout) => panic!("no record within {time:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("stdout is closed"),
        }
    }

    /// Lets time pass, in which no record may come.
    pub fn silence(&self, time: Duration) {
        let silent = self.records.recv_timeout(time);
        assert_eq!(silent, Err(RecvTimeoutError::Timeout), "neither a record nor the end was due");
    }

    /// Waits for a message with this text in it.
    pub fn message(&self, text: &str) -> String {
        loop {
            let line = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no message says `{text}`"));
            let line = String::from_utf8(line).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits until a SIGTERM stops it in good order, and does not just kill it.
    pub fn wait_until_it_can_be_stopped(&self) {
        let start = Instant::now();
        let catches = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
            u64::from_str_radix(mask.trim(), 16).unwrap() >> (Signal::SIGTERM as i32 - 1) & 1 == 1
        };
        while !catches() {
            assert!(start.elapsed() < PATIENCE, "it takes no signals");
            std::thread::yield_now();
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap();
    }

    /// Lets time pass, in which it may not end.
    pub fn lives_for(&self, time: Duration) {
        let ended = self.exit.recv_timeout(time);
        assert_eq!(ended, Err(RecvTimeoutError::Timeout), "it ended by itself");
    }

    /// Kills it, and waits until it is gone with its locks; what it has written last may be torn.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.exit.recv_timeout(PATIENCE).expect("a killed process ends");
        self.has_ended = true;
    }

    /// Waits for its end; stdin stays as it is.
    pub fn wait(&mut self) -> Ended {
        let records = rest(&self.records, "stdout is still open").iter().map(|line| parse(line)).collect();
        let messages = rest(&self.messages, "stderr is still open").concat();
        let exit = self.exit.recv_timeout(PATIENCE).expect("the process ends");
        self.has_ended = true;
        Ended { code: exit.code(), records, stderr: String::from_utf8(messages).unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended && self.exit.try_recv().is_err() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Absent when a signal killed it.
    pub code: Option<i32>,
    /// The records that were not taken before.
    pub records: Vec<Value>,
    /// The messages that were not taken before.
    pub stderr: String,
}

impl Ended {
    /// The one record there is.
    pub fn only_record(&self) -> &Value {
        match self.records.as_slice() {
            [record] => record,
            records => panic!("one record was due, not {records:#?}; stderr:\n{}", self.stderr),
        }
    }

    /// The closing summary, as the JSON log has it.
    pub fn summary(&self) -> Value {
        let line = self.stderr.lines().find(|line| line.contains("run finished"));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no summary in:\n{}", self.stderr))).unwrap()
    }

    /// How many records of this outcome there are.
    pub fn count(&self, outcome: &str) -> usize {
        self.records.iter().filter(|record| record["outcome"] == outcome).count()
    }
}

/// A record's error kind; empty when it has none.
pub fn kind(record: &Value) -> &str {
    record["error"]["kind"].as_str().unwrap_or_default()
}

/// A record's number.
pub fn seq(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap()
}

/// Exactly one JSON object, and its LF.
fn parse(line: &[u8]) -> Value {
    let shown = String::from_utf8_lossy(line);
    assert!(line.ends_with(b"\n"), "a torn line: {shown}");
    match serde_json::from_slice(line) {
        Ok(record @ Value::Object(_)) => record,
        other => panic!("not a JSON object ({other:?}): {shown}"),
    }
}

/// The lines of a pipe, read in a thread of its own, so that waiting for them can have a deadline.
fn lines_of(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (lines, rx) = sync_channel(1 << 16);
    if let Some(pipe) = pipe {
        std::thread::spawn(move || send_lines(BufReader::new(pipe), &lines));
    }
    rx
}

fn send_lines(mut pipe: impl BufRead, lines: &SyncSender<Vec<u8>>) {
    loop {
        let mut line = Vec::new();
        match pipe.read_until(b'\n', &mut line) {
            Ok(n) if n > 0 && lines.send(line).is_ok() => {}
            _ => return,
        }
    }
}

fn exit_of(mut child: Child) -> Receiver<ExitStatus> {
    let (exit, rx) = sync_channel(1);
    std::thread::spawn(move || exit.send(child.wait().unwrap()));
    rx
}

/// Everything that still comes until the other end is closed.
fn rest(lines: &Receiver<Vec<u8>>, otherwise: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("{otherwise}"),
        }
    }
}

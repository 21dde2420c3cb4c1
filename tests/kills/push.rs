//! A source `http` under `kill -9`: producers send each request, under its key, until it is answered, whatever happens to the
//! process meanwhile; and some that were answered once more. Each line has one record, with the number that was answered.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::origin::Origin;
use crate::outputs::Read as Output;

/// Producers at once.
const PRODUCERS: u64 = 3;

/// How long it takes at most until all is accepted and done.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Push {
    dir: TempDir,
    config: PathBuf,
    address: String,
    producers: Vec<Producer>,
    random: fastrand::Rng,
}

/// Sends its requests one after the other.
#[derive(Clone)]
struct Producer {
    number: u64,
    /// Requests that it has begun to send.
    sent: u64,
    /// By request, the lines that were accepted.
    answers: BTreeMap<u64, (u64, u64)>,
    random: fastrand::Rng,
}

/// What the kills have hit.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines were accepted, and their producer was not told.
    unanswered: u32,
    /// Keys were in their file.
    saved: u32,
}

impl Seen {
    pub fn all(&self) -> bool {
        self.unanswered > 0 && self.saved > 0
    }
}

impl Push {
    pub fn new(origin: &Origin) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (path, config) = (dir.path().display(), dir.path().join("fetchd.toml"));
        // Small segments, so that they come and go.
        let toml = format!(
            r#"
            [source.in.http]
            socket = "{path}/in.sock"
            max_journal = "64KiB"
            [state]
            data_dir = "{path}/state"
            min_free = "1MiB"
            [network]
            allow = ["127.0.0.0/8"]
            [hosts."*"]
            concurrency = 64
            [sink.all.jsonl]
            path = "{path}/all.jsonl"
            "#
        );
        fs::write(&config, toml).unwrap();
        let producer =
            |number| Producer { number, sent: 0, answers: BTreeMap::new(), random: fastrand::Rng::with_seed(number) };
        let producers = (0..PRODUCERS).map(producer).collect();
        Self { dir, config, address: origin.authority(), producers, random: fastrand::Rng::with_seed(7) }
    }

    fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        command.arg("-c").arg(&self.config).arg("-q").stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs the process for so long, while producers send what they have, and kills it.
    pub fn live_for(&mut self, time: Duration, seen: &mut Seen) {
        let mut child = self.start();
        let is_over = AtomicBool::new(false);
        let (served, first_served) = sync_channel(1);
        // Some die while they start, the others while they serve, however long a busy machine takes for the start.
        let dies_early = self.random.u8(..4) == 0;
        let (socket, address) = (self.dir.path().join("in.sock"), self.address.clone());
        std::thread::scope(|scope| {
            for producer in &mut self.producers {
                let (socket, address, is_over, served) = (&socket, &address, &is_over, served.clone());
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        // While nobody listens it tries again.
                        if producer.send(socket, address).is_ok() {
                            let _ = served.try_send(());
                        }
                    }
                });
            }
            if !dies_early {
                first_served.recv_timeout(PATIENCE).unwrap();
            }
            std::thread::sleep(time);
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            child.kill().unwrap();
            is_over.store(true, Ordering::Relaxed);
        });
        child.wait().unwrap();
        let answered: u64 = self
            .producers
            .iter()
            .flat_map(|producer| producer.answers.values())
            .map(|(first, last)| last - first + 1)
            .sum();
        let accepted = self.accepted();
        assert!(accepted >= answered, "{answered} lines were answered, and {accepted} were accepted");
        seen.unanswered += u32::from(accepted > answered);
        seen.saved += u32::from(self.dir.path().join("state/journal/in/keys").exists());
    }

    /// A time to live.
    pub fn time(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(30..300))
    }

    fn accepted(&self) -> u64 {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .args(["state", "status", "--json", "-c"])
            .arg(&self.config)
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["sources"]["in"]["accepted"].as_u64().unwrap_or(0)
    }

    /// Lets a last process accept and finish all; each line has its one record then, and there is nothing else.
    pub fn account(&mut self) {
        let (mut child, begin) = (self.start(), Instant::now());
        let (socket, address) = (self.dir.path().join("in.sock"), self.address.clone());
        for producer in &mut self.producers {
            for request in 0..producer.sent {
                while producer.repeat(request, &socket, &address).is_err() {
                    assert!(begin.elapsed() < PATIENCE, "it is not accepted");
                }
            }
        }
        let inputs = self.inputs();
        let all = format!("GET /v1/lines/1-{} HTTP/1.1\r\nhost: fetchd\r\nconnection: close\r\n\r\n", inputs.len());
        while exchange(&socket, &all).unwrap().1["pending"] != 0 {
            assert!(begin.elapsed() < PATIENCE, "it is not done");
        }
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(self.accepted(), inputs.len() as u64);
        let output = Output::files(self.dir.path(), "all");
        assert!(!output.is_torn);
        let mut records = BTreeMap::new();
        for record in output.records() {
            let seq = record["seq"].as_u64().unwrap();
            assert!(records.insert(seq, record["input"].clone()).is_none(), "twice: {record}");
        }
        assert_eq!(records, inputs);
    }

    /// The lines that were accepted, by the numbers that were answered.
    fn inputs(&self) -> BTreeMap<u64, Value> {
        let mut inputs = BTreeMap::new();
        for producer in &self.producers {
            for (request, (first, last)) in &producer.answers {
                let lines = producer.lines(*request, &self.address);
                assert_eq!(lines.lines().count() as u64, last - first + 1);
                for (seq, line) in (*first..).zip(lines.lines()) {
                    assert!(inputs.insert(seq, Value::from(line)).is_none(), "line {seq} was answered twice");
                }
            }
        }
        inputs
    }
}

impl Producer {
    /// The lines of a request.
    fn lines(&self, request: u64, address: &str) -> String {
        let line = |n: u64| match n % 5 {
            3 => format!("no url {} {request} {n}\n", self.number),
            _ => format!("http://{address}/ok/{n}?{}-{request}\n", self.number),
        };
        (0..1 + (request * 7) % 20).map(line).collect()
    }

    /// Sends the oldest request that was not answered, a new one if all were; now and then one that was.
    fn send(&mut self, socket: &PathBuf, address: &str) -> io::Result<()> {
        let unanswered = (0..self.sent).find(|request| !self.answers.contains_key(request));
        let request = match unanswered {
            None if self.sent > 0 && self.random.u8(..4) == 0 => self.random.u64(..self.sent),
            None => {
                self.sent += 1;
                self.sent - 1
            }
            Some(request) => request,
        };
        self.repeat(request, socket, address)
    }

    /// Sends a request; an error if it was not accepted, or that was not said.
    fn repeat(&mut self, request: u64, socket: &PathBuf, address: &str) -> io::Result<()> {
        let (number, lines) = (self.number, self.lines(request, address));
        let text = format!(
            "POST /v1/lines HTTP/1.1\r\nhost: fetchd\r\nconnection: close\r\nidempotency-key: {number}-{request}\r\ncontent-length: {}\r\n\r\n{lines}",
            lines.len()
        );
        let (status, body) = exchange(socket, &text)?;
        match status {
            202 => {}
            503 => return Err(io::ErrorKind::WouldBlock.into()),
            _ => panic!("{status}: {body}"),
        }
        let answer = (body["first"].as_u64().unwrap(), body["last"].as_u64().unwrap());
        let before = self.answers.insert(request, answer);
        assert!(before.is_none_or(|before| before == answer), "{number}-{request} was {before:?}, and is {answer:?}");
        Ok(())
    }
}

/// Sends a request on a connection of its own, and reads the whole answer.
fn exchange(socket: &PathBuf, request: &str) -> io::Result<(u16, Value)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    Ok((status, serde_json::from_str(body).map_err(|_| cut())?))
}

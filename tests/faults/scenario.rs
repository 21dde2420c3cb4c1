//! The one way in which these tests provoke a fault: among healthy lines of another host, which must not notice.

use std::os::fd::AsFd;

use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::certs::Authority;
use crate::common::fetchd::{Fetchd, kind, seq};
use crate::common::origin::{Origin, send};

/// Two retries for every line, and at once: here each line is to have its own fate.
const SOON: &str = "retry = { retries = 2, backoff = '1ms', budget = 'unlimited' }\nhealth.enabled = false\n";

/// More than fetchd may take whatever is sent to it; without anything sent it takes a third.
const MOST_MEMORY: u64 = 40 << 20;

/// What became of a line: its outcome, its error kind, and how many requests were sent for it.
pub type Fate<'a> = (&'a str, &'a str, u64);

pub fn fates(records: &[Value]) -> Vec<Fate<'_>> {
    records.iter().map(fate).collect()
}

pub fn fate(record: &Value) -> Fate<'_> {
    let attempts = record["attempts"].as_u64().unwrap_or_default();
    (record["outcome"].as_str().unwrap(), kind(record), attempts)
}

/// Requests and connections that a server saw.
pub fn seen(origin: &Origin) -> (usize, usize) {
    (origin.requests().len(), origin.accepts())
}

/// Plays each answer at a path of its own, `/0` and so on; the connection stays open after it. Their URLs come back.
pub fn scripted<A: Into<Vec<u8>>>(origin: &Origin, answers: impl IntoIterator<Item = A>) -> Vec<String> {
    answers.into_iter().enumerate().map(|(n, answer)| origin.play(&format!("/{n}"), [send(answer)])).collect()
}

/// With retries at once, and this configuration.
pub fn fetchd<'a>(args: impl IntoIterator<Item = &'a str>, config: &str) -> Fetchd {
    Fetchd::with(args).config(&format!("{SOON}{config}"))
}

/// An authority, and the configuration that trusts it.
pub struct Trust {
    pub authority: Authority,
    pub config: String,
    _dir: TempDir,
}

impl Trust {
    pub fn new() -> Self {
        let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, authority.pem()).unwrap();
        Self { authority, config: format!("tls.ca_file = '{}'\n", path.display()), _dir: dir }
    }

    /// A server with a certificate that is good.
    pub fn origin(&self) -> Origin {
        Origin::start_tls([127, 0, 0, 1], self.authority.identity(&["127.0.0.1"]).server())
    }
}

/// Runs these lines, each between healthy ones of another host. Those must be `ok` at the first attempt, every line must
/// have one record, and the process must end well and never have taken much memory. The records of the lines
/// come back in their order.
pub fn provoke<L: AsRef<[u8]>>(fetchd: Fetchd, lines: impl IntoIterator<Item = L>) -> Vec<Value> {
    let healthy = Origin::start_at([127, 0, 0, 99]);
    let fine = healthy.url("/ok/1\n");
    let mut input = fine.clone().into_bytes();
    let mut count = 0;
    for line in lines {
        input.extend(line.as_ref());
        input.extend(format!("\n{fine}").bytes());
        count += 1;
    }
    let mut running = fetchd.start();
    // A second handle keeps stdin open when all is written: a process that has ended has no memory to look at.
    let stdin = running.stdin.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
    let writer = running.write_all(input);
    let mut records: Vec<_> = (0..2 * count + 1).map(|_| running.record()).collect();
    writer.join().unwrap();
    assert_little_memory(running.pid);
    drop(stdin);
    let ended = running.wait();

    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{}", ended.stderr);
    records.sort_by_key(seq);
    let (others, faulty): (Vec<_>, _) = records.into_iter().partition(|record| seq(record) % 2 == 1);
    for record in &others {
        assert_eq!(fate(record), ("ok", "", 1), "another host's line suffered: {record:#}");
    }
    assert_eq!(healthy.requests_for("/ok/1"), others.len());
    assert_eq!(faulty.len(), count);
    faulty
}

/// That a process never had more memory than it may.
pub fn assert_little_memory(pid: Pid) {
    let most = most_memory(pid);
    assert!(most < MOST_MEMORY, "{} MiB of memory", most >> 20);
}

/// The most memory that a process had so far, in bytes (`VmHWM` of proc(5)).
pub fn most_memory(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes << 10
}

//! Files open at once: how many are needed, how many there may be, and what happens when there are no more.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use rlimit::Resource;
use serde_json::Value;

use crate::common::dns::{Dns, addresses};
use crate::common::fetchd::{Fetchd, Running};
use crate::common::origin::Origin;

/// How many files the process has open.
fn open_files(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// The soft and the hard limit of the process.
fn limits(pid: Pid) -> (u64, u64) {
    let (mut soft, mut hard) = (0, 0);
    rlimit::prlimit(pid.as_raw(), Resource::NOFILE, None, Some((&mut soft, &mut hard))).unwrap();
    (soft, hard)
}

/// From here on the process can open no file, and keeps those it has.
fn take_files_away(pid: Pid) {
    rlimit::prlimit(pid.as_raw(), Resource::NOFILE, Some((1, limits(pid).1)), None).unwrap();
}

fn give_files_back(pid: Pid) {
    let (_, hard) = limits(pid);
    rlimit::prlimit(pid.as_raw(), Resource::NOFILE, Some((hard, hard)), None).unwrap();
}

/// The URL of the nth of many hosts, all of which are one server that listens at every loopback address.
fn url_of_host(server: &Origin, n: usize) -> String {
    let port = server.authority().rsplit_once(':').unwrap().1.to_owned();
    format!("http://127.{}.{}.{}:{port}/ok/1", 1 + n / 65_536, n / 256 % 256, n % 256)
}

#[test]
fn files_open_at_once_do_not_grow_with_the_number_of_hosts() {
    const HOSTS: usize = 5_000;
    let server = Origin::start_at([0, 0, 0, 0]);
    let config = "limits.concurrency = 48\nfetch.idle_connections = 32\noutput.body = 'none'";
    let mut fetchd = Fetchd::local().config(config).start();
    let input: String = (0..HOSTS).map(|n| url_of_host(&server, n) + "\n").collect();
    // A second handle keeps stdin open, so that the process is there while it is looked at.
    let stdin = fetchd.stdin.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
    let writer = fetchd.write_all(input.into());
    let mut most = 0;
    for n in 1..=HOSTS {
        assert_eq!(fetchd.record()["outcome"], "ok");
        if n.is_multiple_of(100) {
            most = most.max(open_files(fetchd.pid));
        }
    }
    writer.join().unwrap();
    drop(stdin);
    assert!((32..=48 + 32 + 64).contains(&most), "{most} files were open at once");
}

#[test]
fn a_lack_of_files_is_waited_for_while_open_connections_go_on() {
    let server = Origin::start_at([0, 0, 0, 0]);
    let dir = tempfile::tempdir().unwrap();
    let config = "retry = { retries = 0, backoff = '10ms' }\n[sink.a.stdout]\n[sink.b.jsonl]\npath = 'copy.jsonl'";
    let mut fetchd = Fetchd::local().config(config).directory(dir.path()).start();
    fetchd.line(&url_of_host(&server, 1));
    fetchd.record();
    take_files_away(fetchd.pid);
    for n in 2..=20 {
        fetchd.line(&url_of_host(&server, n));
    }
    let warning = fetchd.message("no file or port is left");
    assert!(warning.contains("at most 1 file can") && warning.contains("LimitNOFILE"), "{warning}");
    fetchd.line(&url_of_host(&server, 1));
    assert_eq!(fetchd.record()["seq"], 21, "the line that has a connection");
    give_files_back(fetchd.pid);
    fetchd.stdin = None;
    let ended = fetchd.wait();
    assert_eq!((ended.code, ended.count("ok")), (Some(0), 19), "{}", ended.stderr);
    assert!(ended.records.iter().all(|record| record["attempts"] == 1), "{:#?}", ended.records);
    assert!(!ended.stderr.contains("no file or port"), "once was enough: {}", ended.stderr);
    assert_eq!(server.requests().len(), 21);
    assert_eq!(fs::read_to_string(dir.path().join("copy.jsonl")).unwrap().lines().count(), 21);
}

#[test]
fn a_look_up_waits_for_a_file_like_a_connection() {
    let (server, dns) = (Origin::start(), Dns::start());
    dns.script("*.test", [addresses(60, &["127.0.0.1"])]);
    let config = format!("retry = {{ retries = 0, backoff = '10ms' }}\ndns.servers = ['{}']", dns.address());
    let mut fetchd = Fetchd::local().config(&config).start();
    fetchd.line(&server.url("/ok/1"));
    fetchd.record();
    take_files_away(fetchd.pid);
    for n in 1..=20 {
        fetchd.line(&server.url("/ok/1").replace("127.0.0.1", &format!("n{n}.test")));
    }
    fetchd.message("no file or port is left");
    give_files_back(fetchd.pid);
    fetchd.stdin = None;
    let ended = fetchd.wait();
    assert_eq!(ended.count("ok"), 20, "{:#?}", ended.records);
    assert!(ended.records.iter().all(|record| record["attempts"] == 1), "{:#?}", ended.records);
}

#[test]
fn a_run_raises_its_soft_limit_to_the_hard_one() {
    let server = Origin::start();
    let script = "ulimit -n 700; ulimit -Sn 80; exec \"$0\" --allow 127.0.0.0/8";
    let mut fetchd = Fetchd::in_shell(script).start();
    fetchd.line(&server.url("/ok/1"));
    fetchd.record();
    assert_eq!(limits(fetchd.pid), (700, 700));
}

/// Checks a configuration, and runs it on no lines, where the hard limit is 1024.
fn check_and_run(config: &str) -> [(Option<i32>, String); 2] {
    ["check", "run"].map(|command| {
        let script = format!("ulimit -n 1024; exec \"$0\" {command} \"$@\"");
        let ended = Fetchd::in_shell(&script).config(config).run("");
        (ended.code, ended.stderr)
    })
}

#[test]
fn a_usual_hard_limit_is_enough_for_the_defaults_and_for_more_concurrency() {
    for config in ["", "limits.concurrency = 600"] {
        for (code, stderr) in check_and_run(config) {
            assert_eq!(code, Some(0), "{config}: {stderr}");
        }
    }
}

#[test]
fn a_configuration_that_can_need_more_files_than_there_may_be_is_refused() {
    for config in ["limits.concurrency = 1000", "fetch.idle_connections = 1000"] {
        for (code, stderr) in check_and_run(config) {
            assert_eq!(code, Some(2), "{config}: {stderr}");
            for part in ["limits.concurrency", "fetch.idle_connections", "1,024", "ulimit -Hn", "LimitNOFILE"] {
                assert!(stderr.contains(part), "{config}: {stderr}");
            }
        }
    }
}

/// A run that has opened the FIFO `first` of its directory, is about to open the FIFO `second`, and then more.
struct Opening {
    fetchd: Running,
    directory: tempfile::TempDir,
    _first: File,
}

impl Opening {
    /// `paths` are those of the configuration, with the two FIFOs at the start.
    fn start(config: &str, open_first: impl FnOnce(&Path) -> File) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["first", "second"] {
            mkfifo(&directory.path().join(name), Mode::S_IRWXU).unwrap();
        }
        fs::write(directory.path().join("third"), "").unwrap();
        let fetchd = Fetchd::local().config(config).directory(directory.path()).start();
        let first = open_first(&directory.path().join("first"));
        Self { fetchd, directory, _first: first }
    }

    /// Takes all files away, lets it go on, and asserts that it ends with a sentence on this.
    fn assert_ends_for_want_of_files(mut self, what: &str) {
        take_files_away(self.fetchd.pid);
        // Whichever of the two it failed to open: with a reader and a writer, the FIFO keeps nobody waiting.
        let _both_ends = File::options().read(true).write(true).open(self.directory.path().join("second")).unwrap();
        let ended = self.fetchd.wait();
        assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{}", ended.stderr);
        let error: Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(what) && message.contains("ulimit -Hn"), "{message}");
    }
}

#[test]
fn a_source_for_which_no_file_is_left_is_a_clear_error() {
    let config = "[source.in.file]\npaths = ['first', 'second', 'third']";
    let opening = Opening::start(config, |first| File::options().write(true).open(first).unwrap());
    opening.assert_ends_for_want_of_files("cannot open the source `in`: ");
}

#[test]
fn a_sink_for_which_no_file_is_left_is_a_clear_error() {
    let sinks = ["first", "second", "third"].map(|name| format!("[sink.{name}.jsonl]\npath = '{name}'\n"));
    let opening = Opening::start(&sinks.concat(), |first| File::open(first).unwrap());
    opening.assert_ends_for_want_of_files("cannot open the sink ");
}

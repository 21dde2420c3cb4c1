//! A host that closes for longer than `retry.max_retry_after`: the lines of durable sources wait for it, in this run or in the next.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::{Origin, ok_with, send};

/// A list, and what runs of it leave.
struct Job {
    dir: TempDir,
    closed: Origin,
    other: Origin,
}

/// A host takes one request at a time.
const ONE: &str = "hosts.\"*\" = { concurrency = 1 }\n";

fn closing(seconds: u64) -> Vec<u8> {
    format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: {seconds}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

impl Job {
    /// A host that closes for so long on its first request, and another one.
    fn new(seconds: u64) -> Self {
        let (closed, other) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
        closed.play_in_turn("/page", [vec![send(closing(seconds))], vec![send(ok_with("", b"open"))]]);
        Self { dir: tempfile::tempdir().unwrap(), closed, other }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A list of so many lines of the host that closes, and so many of the other one behind them.
    fn write(&self, closed: usize, others: usize) {
        let closed = (0..closed).map(|_| self.closed.url("/page"));
        let lines = closed.chain((0..others).map(|n| self.other.url(&format!("/ok/{n}"))));
        fs::write(self.path("urls.txt"), lines.map(|line| line + "\n").collect::<String>()).unwrap();
    }

    fn run(&self, config: &str) -> Ended {
        let args = ["--data-dir", "state", "-i", "urls.txt", "-o", "out.jsonl"];
        Fetchd::with(args).directory(self.dir.path()).config(&format!("{ONE}{config}")).run("")
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Each line has one record, and all are `ok`.
    fn assert_done(&self, lines: u64) {
        let mut seqs: Vec<_> = self.records().iter().map(|record| record["seq"].as_u64().unwrap()).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=lines).collect::<Vec<_>>());
        assert!(self.records().iter().all(|record| record["outcome"] == "ok"), "{:?}", self.records());
    }
}

#[test]
fn a_run_of_a_list_ends_when_only_lines_of_closed_hosts_are_left_and_the_next_ones_send_nothing() {
    let job = Job::new(3600);
    job.write(5, 7);
    let ended = job.run("");
    assert_eq!((ended.code, job.records().len()), (Some(4), 7), "{}", ended.stderr);
    let sentence = "5 lines of 127.0.0.1 wait until 20";
    assert!(ended.stderr.contains(sentence) && ended.stderr.contains("run again then"), "{}", ended.stderr);
    for _ in 0..3 {
        let ended = job.run("");
        assert!(ended.code == Some(4) && ended.stderr.contains(sentence), "{}", ended.stderr);
    }
    assert_eq!((job.closed.requests().len(), job.records().len()), (1, 7));
}

#[test]
fn a_later_start_finishes_the_lines_of_a_host_that_is_open_again() {
    const PAUSE: Duration = Duration::from_secs(2);
    let job = Job::new(PAUSE.as_secs());
    job.write(3, 2);
    let config = "retry.max_retry_after = '1s'\n";
    assert_eq!(job.run(config).code, Some(4));
    // Each start that comes too early ends at once, and sends nothing.
    let code = (0..1000).map(|_| job.run(config).code).find(|code| *code != Some(4));
    assert_eq!(code, Some(Some(0)));
    job.assert_done(5);
    let requests = job.closed.requests();
    let pause = requests[1].at - requests[0].at;
    assert!(requests.len() == 4 && pause >= PAUSE - Duration::from_millis(10), "{pause:?}");
}

#[test]
fn a_run_ends_when_its_window_is_full_of_lines_of_closed_hosts() {
    for order in ["completion", "input"] {
        let job = Job::new(3600);
        job.write(40, 7);
        let ended = job.run(&format!("queue.window = 10\noutput.order = '{order}'\n"));
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        assert!(ended.stderr.contains("10 lines of 127.0.0.1 wait until "), "{}", ended.stderr);
        assert_eq!(ended.summary()["unread"], 37);
        assert_eq!(job.closed.requests().len(), 1);
    }
}

#[test]
fn a_run_that_is_to_wait_goes_on_when_the_host_opens() {
    let job = Job::new(1);
    job.write(3, 2);
    let ended = job.run("retry.max_retry_after = '500ms'\nhosts.\"127.0.0.1\".quota = 'wait'\n");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    job.assert_done(5);
}

#[test]
fn a_run_whose_source_is_live_waits_unless_it_is_told_not_to() {
    for (config, code, records) in [("", 0, 3), ("hosts.\"127.0.0.1\".quota = 'obey'\n", 4, 0)] {
        let job = Job::new(1);
        let config = format!("{ONE}{config}retry.max_retry_after = '500ms'\nsource.urls.stdin.durable = true\n");
        let fetchd = Fetchd::with(["--data-dir", "state", "-o", "out.jsonl"]).directory(job.dir.path()).config(&config);
        let ended = fetchd.run(format!("{}\n", job.closed.url("/page")).repeat(3));
        assert_eq!((ended.code, job.records().len()), (Some(code), records), "{}", ended.stderr);
    }
}

#[test]
fn lines_that_no_next_start_would_find_end() {
    let job = Job::new(3600);
    let ended = Fetchd::with([""; 0]).config(ONE).run(format!("{}\n", job.closed.url("/page")).repeat(3));
    assert_eq!((ended.code, ended.records.len()), (Some(0), 3), "{}", ended.stderr);
    let kinds = ended.records.iter().filter(|record| record["error"]["kind"] == "retry_after_too_long").count();
    assert_eq!((kinds, job.closed.requests().len()), (3, 1));
}

#[test]
fn a_quota_whose_reset_is_too_far_away_is_waited_for_alike() {
    let job = Job::new(3600);
    let used_up = ok_with("x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 7200\r\n", b"the last one");
    job.closed.play_in_turn("/page", [vec![send(used_up)]]);
    job.write(5, 7);
    let ended = job.run("");
    assert_eq!((ended.code, job.records().len()), (Some(4), 8), "{}", ended.stderr);
    assert!(ended.stderr.contains("4 lines of 127.0.0.1 wait until 20"), "{}", ended.stderr);
}

//! Hosts in trouble are left alone by the next run, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::PATIENCE;
use crate::common::fetchd::{Ended, Fetchd, Running};
use crate::common::origin::{Origin, Step, ok_with, send};

/// Clocks are read one after the other, and timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

const REST: Duration = Duration::from_secs(3);

/// Waits until the checkpoint says this of some host.
fn wait_for_checkpoint(dir: &Path, of_a_host: &str) {
    let watch = init(CreateFlags::NONBLOCK).unwrap();
    add_watch(&watch, dir, WatchFlags::MOVED_TO).unwrap();
    loop {
        let checkpoint: Value = serde_json::from_slice(&fs::read(dir.join("checkpoint.json")).unwrap()).unwrap();
        if checkpoint["hosts"].as_object().unwrap().values().any(|host| host.get(of_a_host).is_some()) {
            return;
        }
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let changed = poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(changed, 1, "no checkpoint says `{of_a_host}`, the last one is {checkpoint}");
        rustix::io::read(&watch, &mut [0; 4096]).unwrap();
    }
}

/// A host in trouble, another one, and what is left between two runs.
struct Scenario {
    host: Origin,
    other: Origin,
    dir: TempDir,
}

impl Scenario {
    fn new() -> Self {
        let (host, other) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
        Self { host, other, dir: tempfile::tempdir().unwrap() }
    }

    /// A host that asks for some rest first, and serves then.
    fn busy() -> Self {
        let scenario = Self::new();
        let refusal = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n";
        scenario.host.play_in_turn("/", [vec![send(refusal)], vec![send(ok_with("", b"rested"))]]);
        scenario
    }

    /// A host that breaks the connection at first, and serves then.
    fn broken() -> Self {
        let scenario = Self::new();
        scenario.host.play_in_turn("/", [vec![Step::Reset], vec![send(ok_with("", b"back"))]]);
        scenario
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A run with this input, which is a durable source.
    fn read(&self, lines: &[String]) -> Running {
        let input = self.dir.path().join("urls");
        fs::write(&input, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let health = "health = { failures = 1, cool_down = '3s' }\n";
        Fetchd::with([Path::new("-i"), &input, Path::new("--data-dir"), &self.state()]).config(health).start()
    }

    /// The host had its rest, and the other one did not wait.
    fn assert_rested(&self, second: &Ended) {
        assert_eq!((second.code, second.count("ok")), (Some(0), 2), "{second:?}");
        let (requests, others) = (self.host.requests(), self.other.requests());
        assert_eq!((requests.len(), others.len()), (2, 1));
        let rest = requests[1].at - requests[0].at;
        assert!(rest + TICK >= REST, "only {rest:?} of rest");
        assert!(others[0].at < requests[1].at, "the other host waited, too");
    }

    /// A run that is killed once the checkpoint says this of the host, and another that goes on.
    fn kill_and_go_on(&self, when: &str) {
        let lines = [self.host.url("/"), self.other.url("/ok/1")];
        let mut first = self.read(&lines[..1]);
        self.host.wait_for_requests(1);
        wait_for_checkpoint(&self.state(), when);
        first.signal(Signal::SIGKILL);
        assert_eq!(first.wait().records, Vec::<Value>::new());
        self.assert_rested(&self.read(&lines).wait());
    }
}

#[test]
fn a_host_that_asked_for_rest_has_it_when_the_run_is_killed_and_started_again() {
    Scenario::busy().kill_and_go_on("pause");
}

#[test]
fn a_host_that_could_not_be_reached_is_asked_no_sooner_when_the_run_is_killed_and_started_again() {
    Scenario::broken().kill_and_go_on("circuits");
}

#[test]
fn a_host_that_asked_for_rest_has_it_when_the_run_is_stopped_and_started_again_without_a_durable_source() {
    let scenario = Scenario::busy();
    let lines = [scenario.host.url("/"), scenario.other.url("/ok/1")].join("\n");
    let start = || {
        let fetchd = Fetchd::with([Path::new("--data-dir"), &scenario.state()]);
        fetchd.config("shutdown.grace = '0s'\n").start()
    };
    let mut first = start();
    first.line(&scenario.host.url("/"));
    scenario.host.wait_for_requests(1);
    wait_for_checkpoint(&scenario.state(), "pause");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait().count("canceled"), 1);
    scenario.assert_rested(&start().finish(lines));
}

//! What a service manager hears of a run, and what it does not.

use std::fs;

use nix::sys::signal::Signal;

use crate::common::fetchd::{Fetchd, Running};
use crate::common::origin::Origin;
use crate::common::service_manager::ServiceManager;

/// A tenth of a second between two pings.
const WATCHDOG: &str = "200000";

fn has_a_thread_for_it(fetchd: &Running) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", fetchd.pid)).unwrap();
    threads.flatten().any(|thread| fs::read_to_string(thread.path().join("comm")).unwrap() == "service-manager\n")
}

#[test]
fn a_service_manager_hears_when_lines_are_taken_that_the_run_lives_and_when_it_stops() {
    let (manager, origin) = (ServiceManager::start(), Origin::start());
    let mut fetchd = manager.starts(Fetchd::local(), WATCHDOG).start();
    let ready = manager.hear("READY=1");
    assert!(ready.contains("\nSTATUS=Running: "), "{ready}");
    assert!(has_a_thread_for_it(&fetchd));
    manager.hear("WATCHDOG=1");
    fetchd.line(&origin.url("/hang/1"));
    origin.wait_for_requests(1);
    fetchd.signal(Signal::SIGTERM);
    let stopping = manager.hear("STOPPING=1");
    assert!(stopping.contains("\nEXTEND_TIMEOUT_USEC=30000000\nSTATUS=Draining: "), "{stopping}");
    manager.hear("WATCHDOG=1");
    fetchd.signal(Signal::SIGINT);
    fetchd.wait();
    let rest = manager.rest();
    assert!(rest.iter().all(|message| !message.contains("READY") && !message.contains("STOPPING")), "{rest:?}");
}

#[test]
fn a_service_manager_hears_of_lines_that_are_done_meanwhile() {
    let (manager, origin) = (ServiceManager::start(), Origin::start());
    let mut fetchd = manager.starts(Fetchd::local(), WATCHDOG).start();
    manager.hear("READY=1");
    fetchd.line(&origin.url("/ok/1"));
    fetchd.record();
    let status = std::iter::from_fn(|| manager.next()).find(|message| message.contains("STATUS=")).unwrap();
    assert!(status.contains("1 done"), "{status}");
    fetchd.stdin = None;
    assert_eq!(fetchd.wait().code, Some(0));
    manager.hear("STOPPING=1");
}

#[test]
fn a_run_that_cannot_open_its_output_is_never_ready() {
    let manager = ServiceManager::start();
    let ended = manager.starts(Fetchd::with(["-o", "/nowhere/results.jsonl"]), WATCHDOG).run("");
    assert_ne!(ended.code, Some(0));
    let heard = manager.rest();
    assert!(heard.iter().all(|message| !message.contains("READY=1")), "{heard:?}");
}

#[test]
fn without_a_service_manager_there_is_no_thread_for_it() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::local().start();
    fetchd.line(&origin.url("/ok/1"));
    fetchd.record();
    assert!(!has_a_thread_for_it(&fetchd));
    fetchd.stdin = None;
    assert_eq!(fetchd.wait().code, Some(0));
}

#[test]
fn a_service_manager_with_a_socket_without_a_file_is_told_too() {
    let manager = ServiceManager::start_abstract();
    let fetchd = manager.starts(Fetchd::local(), WATCHDOG).start();
    manager.hear("READY=1");
    fetchd.kill();
}

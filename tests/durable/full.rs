//! Disks that are full, of outputs, journals and checkpoints: a tiny one of the test's own, and the device that always is.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::common::fetchd::{Fetchd, Running, seq};
use crate::common::origin::Origin;
use crate::common::service_manager::ServiceManager;
use crate::place::{Place, gated};
use crate::process::until;
use crate::scenario::seqs;
use crate::small_disk::{PAGE, SmallDisk, with_a_small_disk};

/// How the disk of a journal becomes full.
#[derive(Clone, Copy, Debug)]
enum Full {
    /// It is seen before a batch is written.
    Before,
    /// It is not, so that a part of the batch is written.
    Amid,
}

impl Full {
    const BOTH: [Self; 2] = [Self::Before, Self::Amid];

    fn says(self) -> [&'static str; 2] {
        match self {
            Self::Before => ["stopped reading the input", "reading the input again"],
            Self::Amid => ["no room for", "there is room for"],
        }
    }

    fn free(self) -> u64 {
        match self {
            Self::Before => 0,
            Self::Amid => PAGE,
        }
    }
}

/// A URL that makes a line of so many bytes with its LF.
fn padded(url: &str, bytes: u64) -> String {
    let length = usize::try_from(bytes).unwrap() - 1;
    format!("{:x<length$}", format!("{url}?"))
}

/// Starts it with a line that waits for its answer, and one that the journal has no room for.
fn pause(place: &Place, disk: &SmallDisk, origin: &Origin, url: &str, full: Full) -> Running {
    // With its head, the first batch fills a page to its end. The second could be in the last one, but for its head.
    const HEAD: u64 = "\t#01234567 1 1 4076\n".len() as u64;
    let before = origin.requests().len();
    let mut fetchd = place.fetchd().start();
    fetchd.line(&padded(url, PAGE - HEAD));
    origin.wait_for_requests(before + 1);
    disk.fill_but(full.free());
    fetchd.line(&padded(&origin.url("/ok/2"), PAGE - 1));
    fetchd.message(full.says()[0]);
    assert_eq!(place.count("accepted"), 1, "{full:?}");
    fetchd
}

#[test]
fn a_journal_on_a_full_disk_accepts_nothing_until_there_is_room_and_then_everything_once() {
    with_a_small_disk(
        "full::a_journal_on_a_full_disk_accepts_nothing_until_there_is_room_and_then_everything_once",
        |disk| {
            for full in Full::BOTH {
                let (place, origin) = (Place::with_state_in(disk.path()), Origin::start());
                let (url, gate) = gated(&origin);
                let mut fetchd = pause(&place, disk, &origin, &url, full);
                for n in 3..=20 {
                    fetchd.line(&origin.url(&format!("/ok/{n}")));
                }
                assert_eq!((place.count("accepted"), origin.requests().len()), (1, 1), "{full:?}");
                disk.empty();
                fetchd.message(full.says()[1]);
                gate.add_permits(1);
                fetchd.stdin = None;
                let ended = fetchd.wait();
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
                assert_eq!(place.recorded(), (1..=20).collect::<Vec<_>>());
                std::fs::remove_dir_all(&place.state).unwrap();
            }
        },
    );
}

#[test]
fn a_stop_or_kill_9_while_a_journal_waits_for_room_loses_nothing_that_was_accepted() {
    with_a_small_disk(
        "full::a_stop_or_kill_9_while_a_journal_waits_for_room_loses_nothing_that_was_accepted",
        |disk| {
            for (full, (signal, code)) in Full::BOTH
                .into_iter()
                .flat_map(|full| [(Signal::SIGTERM, Some(4)), (Signal::SIGKILL, None)].map(|end| (full, end)))
            {
                let (place, origin) = (Place::with_state_in(disk.path()), Origin::start());
                let (url, gate) = gated(&origin);
                let mut fetchd = pause(&place, disk, &origin, &url, full);
                let asked = Instant::now();
                fetchd.signal(signal);
                let ended = fetchd.wait();
                assert_eq!(ended.code, code, "{}", ended.stderr);
                assert!(asked.elapsed() < Duration::from_secs(4), "{full:?} {signal}");
                assert_eq!(place.count("accepted"), 1, "{full:?} {signal}");
                disk.empty();
                gate.add_permits(1);
                place.finish(&origin, 2..=5);
                assert_eq!(place.recorded(), [1, 2, 3, 4, 5], "{full:?} {signal}");
                std::fs::remove_dir_all(&place.state).unwrap();
            }
        },
    );
}

/// Starts it with lines whose records are written, but in no checkpoint, for which there is no room.
fn five_without_checkpoint(place: &Place, disk: &SmallDisk, origin: &Origin) -> Running {
    let (url, gate) = gated(origin);
    let mut fetchd = place.fetchd().start();
    for _ in 1..=5 {
        fetchd.line(&url);
    }
    // Hosts are asked by a few at once.
    origin.wait_for_requests(1);
    until("the journal", || place.count("accepted") == 5);
    disk.fill_but(0);
    gate.add_permits(1);
    let mut seqs: Vec<_> = (1..=5).map(|_| seq(&fetchd.record())).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    let said = fetchd.message("no room for");
    assert!(said.contains(place.state.to_str().unwrap()), "{said}");
    assert_eq!(place.count("done"), 0);
    fetchd
}

#[test]
fn a_checkpoint_on_a_full_disk_is_waited_for() {
    with_a_small_disk("full::a_checkpoint_on_a_full_disk_is_waited_for", |disk| {
        let (place, origin) = (Place::with_state_in(disk.path()), Origin::start());
        let mut fetchd = five_without_checkpoint(&place, disk, &origin);
        disk.empty();
        fetchd.message("there is room for");
        place.one_by_one(&mut fetchd, &origin, 6..=7);
        fetchd.stdin = None;
        let ended = fetchd.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(place.recorded(), [1, 2, 3, 4, 5, 6, 7]);
    });
}

#[test]
fn a_stop_or_kill_9_while_a_checkpoint_waits_for_room_loses_nothing_and_nothing_is_there_twice() {
    with_a_small_disk(
        "full::a_stop_or_kill_9_while_a_checkpoint_waits_for_room_loses_nothing_and_nothing_is_there_twice",
        |disk| {
            for (signal, code) in [(Signal::SIGTERM, Some(4)), (Signal::SIGKILL, None)] {
                let (place, origin) = (Place::with_state_in(disk.path()), Origin::start());
                let mut fetchd = five_without_checkpoint(&place, disk, &origin);
                let asked = Instant::now();
                fetchd.signal(signal);
                let ended = fetchd.wait();
                assert_eq!(ended.code, code, "{}", ended.stderr);
                assert!(asked.elapsed() < Duration::from_secs(4), "{signal}");
                // The next one needs room before its first request.
                let mut next = place.fetchd().start();
                next.line(&origin.url("/ok/6"));
                next.message("no room for");
                assert_eq!(origin.requests().len(), 5);
                disk.empty();
                next.stdin = None;
                let ended = next.wait();
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
                assert_eq!(place.recorded(), [1, 2, 3, 4, 5, 6]);
                assert_eq!(origin.requests().len(), 6, "what was recorded is not fetched again");
                std::fs::remove_dir_all(&place.state).unwrap();
            }
        },
    );
}

#[test]
fn a_full_disk_stops_the_run_until_there_is_room_and_every_record_is_there_once() {
    with_a_small_disk("full::a_full_disk_stops_the_run_until_there_is_room_and_every_record_is_there_once", |disk| {
        let (mut place, origin) = (Place::new(), Origin::start());
        place.output = disk.path().join("out");
        let mut fetchd = place.fetchd().start();
        fetchd.line(&origin.url("/ok/1"));
        fetchd.record();
        disk.fill_but(10 * PAGE);
        for n in 2..=6 {
            // Each with a length of its own, so that records can be told apart.
            fetchd.line(&origin.url(&format!("/bytes/{}", 20_000 + n)));
        }
        fetchd.message("no room for");
        disk.empty();
        fetchd.stdin = None;
        let ended = fetchd.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("there is room for"), "{}", ended.stderr);
        assert_eq!(place.recorded(), [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn a_drain_that_waits_for_a_full_disk_pings_the_service_manager_and_has_its_time_extended() {
    with_a_small_disk(
        "full::a_drain_that_waits_for_a_full_disk_pings_the_service_manager_and_has_its_time_extended",
        |disk| {
            let (mut place, origin, manager) = (Place::new(), Origin::start(), ServiceManager::start());
            place.output = disk.path().join("out");
            let fetchd = Fetchd::local().config(&place.config().replace("100ms", "1m"));
            // A tenth of a second between two pings.
            let mut fetchd = manager.starts(fetchd, "200000").start();
            fetchd.line(&origin.url("/ok/1"));
            fetchd.record();
            disk.fill_but(10 * PAGE);
            for n in 2..=6 {
                fetchd.line(&origin.url(&format!("/bytes/{}", 20_000 + n)));
            }
            fetchd.message("no room for");
            fetchd.signal(Signal::SIGTERM);
            assert!(manager.hear("STOPPING=1").contains("EXTEND_TIMEOUT_USEC=30000000"));
            for _ in 0..20 {
                manager.hear("WATCHDOG=1");
            }
            manager.hear("EXTEND_TIMEOUT_USEC=30000000");
            disk.empty();
            let ended = fetchd.wait();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        },
    );
}

#[test]
fn a_standard_output_on_a_full_disk_ends_the_run_with_1_and_a_whole_record() {
    with_a_small_disk("full::a_standard_output_on_a_full_disk_ends_the_run_with_1_and_a_whole_record", |disk| {
        let (origin, path) = (Origin::start(), disk.path().join("out"));
        disk.fill_but(3 * PAGE);
        let urls: String = (1..=30).map(|n| origin.url(&format!("/bytes/{}\n", 1_000 + n))).collect();
        let ended = Fetchd::local().stdout(std::fs::File::create(&path).unwrap()).run(urls);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("cannot write to standard output"), "{}", ended.stderr);
        let there = seqs(&std::fs::read_to_string(&path).unwrap());
        assert!(!there.is_empty() && there.len() < 30, "{there:?}");
    });
}

#[test]
fn a_device_that_takes_nothing_ends_the_run_with_1() {
    let origin = Origin::start();
    let ended = Fetchd::with(["-o", "/dev/full"]).run(origin.url("/ok/1"));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write to /dev/full"), "{}", ended.stderr);
}

//! Files that are rotated while the reading is behind: every naming scheme, deletions, truncations in place, and kills.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::fetchd::Running;
use crate::scenario::{Scenario, line};

/// Lines of each file.
const EACH: u64 = 40;

/// One line is fetched after the other, so the reading is behind the writer. Few lines are taken in advance.
const SLOW: &str = "rotate_wait = '100ms'\n[queue]\ncapacity = 1\nwindow = 2\n[hosts.'*']\nrate = '100/s'\n[state]\ndata_dir = 'state'";

/// Writes files, and lets `rotate` have each away; the last one stays.
fn write(scenario: &Scenario, files: u64, rotate: impl Fn(u64)) {
    for file in 0..files {
        scenario.append("urls", file * EACH + 1..=(file + 1) * EACH);
        if file + 1 < files {
            // The reader sees each file, though it has not read it.
            std::thread::park_timeout(Duration::from_millis(600));
            rotate(file + 1);
        }
    }
}

/// Every line comes once, in order.
fn comes_in_order(running: &Running, lines: u64) {
    for n in 1..=lines {
        assert_eq!(line(&running.record()), (n, n));
    }
    running.silence(Duration::from_millis(700));
}

fn is_read_in_order_once(rotate: impl Fn(&Scenario, u64)) {
    let scenario = Scenario::new();
    fs::create_dir(scenario.path("elsewhere")).unwrap();
    let running = scenario.follow("['urls']", SLOW);
    write(&scenario, 4, |file| rotate(&scenario, file));
    comes_in_order(&running, 4 * EACH);
}

#[test]
fn files_of_which_the_newest_has_the_highest_number_are_read_once_and_in_order() {
    is_read_in_order_once(|scenario, file| scenario.rename("urls", &format!("urls.{file}")));
}

#[test]
fn files_that_are_shifted_are_read_once_and_in_order() {
    is_read_in_order_once(|scenario, file| {
        for old in (1..file).rev() {
            scenario.rename(&format!("urls.{old}"), &format!("urls.{}", old + 1));
        }
        scenario.rename("urls", "urls.1");
    });
}

#[test]
fn files_that_are_renamed_to_any_name_or_moved_away_are_read_once_and_in_order() {
    let names = ["none", "old-17", "elsewhere/urls", "another"];
    is_read_in_order_once(|scenario, file| scenario.rename("urls", names[file as usize]));
}

#[test]
fn files_that_are_deleted_before_they_are_read_are_read_all_the_same() {
    is_read_in_order_once(|scenario, _| fs::remove_file(scenario.path("urls")).unwrap());
}

#[test]
fn files_that_are_copied_and_truncated_before_they_are_read_are_read_from_their_copies() {
    is_read_in_order_once(|scenario, file| {
        fs::copy(scenario.path("urls"), scenario.path(&format!("urls.{file}"))).unwrap();
        scenario.writer("urls").set_len(0).unwrap();
    });
}

#[test]
fn a_file_that_is_rewritten_with_as_many_bytes_between_two_looks_is_read_from_its_start() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=3);
    let running = scenario.follow("['urls']", "");
    for n in 1..=3 {
        assert_eq!(line(&running.record()), (n, n));
    }
    let text = fs::read_to_string(scenario.path("urls")).unwrap();
    fs::write(scenario.path("urls"), text.replace("/ok/", "/ok/1")[..text.len()].to_owned()).unwrap();
    running.message("urls was truncated; reading from the start");
    assert_eq!(line(&running.record()), (4, 11));
}

/// A process that is killed again and again, while files are rotated within its lag.
fn outlives_kills(rotate: impl Fn(&Scenario, u64)) {
    const KILLS: u64 = 12;
    let scenario = Scenario::new();
    let config = format!("{SLOW}\n[sink.out.jsonl]\npath = 'out.jsonl'");
    let mut random = fastrand::Rng::with_seed(7);
    let mut next = 1;
    for file in 1..=KILLS {
        let running = scenario.follow("['urls']", &config);
        for _ in 0..2 {
            let lines = random.u64(1..20);
            scenario.append("urls", next..next + lines);
            next += lines;
            std::thread::park_timeout(Duration::from_millis(random.u64(0..400)));
            rotate(&scenario, 2 * file + random.u64(0..2));
        }
        std::thread::park_timeout(Duration::from_millis(random.u64(0..300)));
        running.kill();
    }
    scenario.append("urls", [next]);
    let mut running = scenario.follow("['urls']", &config);
    while seqs(&scenario).len() < next as usize {
        std::thread::park_timeout(Duration::from_millis(50));
        assert!(scenario.origin.requests().len() < 2 * next as usize, "lines are fetched again and again");
    }
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(seqs(&scenario), (1..=next).map(|n| (n, n)).collect::<Vec<_>>());
}

/// The records so far, in the order of their numbers.
fn seqs(scenario: &Scenario) -> Vec<(u64, u64)> {
    let text = fs::read_to_string(scenario.path("out.jsonl")).unwrap_or_default();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut seqs: Vec<_> = whole.map(|record| line(&record)).collect();
    seqs.sort_unstable();
    seqs
}

#[test]
fn no_line_is_lost_or_comes_twice_over_kills_while_files_get_rising_numbers() {
    outlives_kills(|scenario, file| {
        let free = (file..).find(|n| !scenario.path(&format!("urls.{n}")).exists()).unwrap();
        scenario.rename("urls", &format!("urls.{free}"));
    });
}

#[test]
fn no_line_is_lost_or_comes_twice_over_kills_while_files_are_shifted() {
    outlives_kills(|scenario, _| {
        let last = (1..).find(|n| !scenario.path(&format!("urls.{n}")).exists()).unwrap();
        for old in (1..last).rev() {
            scenario.rename(&format!("urls.{old}"), &format!("urls.{}", old + 1));
        }
        scenario.rename("urls", "urls.1");
    });
}

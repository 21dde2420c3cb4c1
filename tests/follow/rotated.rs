//! Files that are rotated while the reading is behind: every naming scheme, deletions, truncations in place, and kills.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde_json::Value;

use crate::scenario::{Scenario, line};

/// Lines that are read at once.
const BATCH: u64 = 1024;

/// Lines of the first file: once two batches were read, the thread waits for room for the third until the first is fetched.
const FIRST: u64 = 2 * BATCH + 10;

/// Lines of each other file.
const EACH: u64 = 50;

/// One line is fetched after the other, at this rate, so the reading is behind the writer. Few lines are taken in advance.
fn slow(rate: &str) -> String {
    format!(
        "rotate_wait = '100ms'\n[queue]\ncapacity = 1\nwindow = 2\n[hosts.'*']\nrate = '{rate}'\n[state]\ndata_dir = 'state'"
    )
}

/// Whether the checkpoint has the file at the path, with its present beginning, as the newest generation.
fn is_registered(scenario: &Scenario) -> bool {
    let Ok(text) = fs::read(scenario.path("state/checkpoint.json")) else { return false };
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    let generations = &checkpoint["sources"]["urls"]["position"]["generations"]["urls"];
    let Some(newest) = generations.as_array().and_then(|generations| generations.last()) else { return false };
    let content = fs::read(scenario.path("urls")).unwrap();
    let length = newest["head"]["length"].as_u64().unwrap() as usize;
    let head = content.get(..length).filter(|head| !head.is_empty());
    newest["file"]["inode"] == fs::metadata(scenario.path("urls")).unwrap().ino()
        && head.is_some_and(|head| newest["head"]["sum"] == crc32fast::hash(head))
}

/// Files are written, and `rotate` has each away as soon as it is registered, while there is no room for lines; the last one
/// stays. Every line comes once, in order.
fn is_read_in_order_once(rotate: impl Fn(&Scenario, u64)) {
    const FILES: u64 = 4;
    let scenario = Scenario::new();
    fs::create_dir(scenario.path("elsewhere")).unwrap();
    scenario.append("urls", 1..=FIRST);
    let running = scenario.follow("['urls']", &slow("250/s"));
    let mut come = 0;
    let mut comes = || {
        come += 1;
        assert_eq!(line(&running.record()), (come, come));
        come
    };
    for file in 1..FILES {
        while !is_registered(&scenario) {
            assert!(comes() < BATCH, "the file is registered only once there is room");
        }
        rotate(&scenario, file);
        scenario.append("urls", FIRST + (file - 1) * EACH + 1..=FIRST + file * EACH);
    }
    while comes() < FIRST + (FILES - 1) * EACH {}
    running.silence(Duration::from_millis(700));
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
    fs::write(scenario.path("urls"), &text.replace("/ok/", "/ok/1")[..text.len()]).unwrap();
    running.message("urls was truncated; reading from the start");
    assert_eq!(line(&running.record()), (4, 11));
}

/// A process is killed again and again, while files are rotated within its lag.
fn outlives_kills(rotate: impl Fn(&Scenario, u64)) {
    const KILLS: u64 = 12;
    let scenario = Scenario::new();
    let config = format!("{}\n[sink.out.jsonl]\npath = 'out.jsonl'", slow("100/s"));
    let mut random = fastrand::Rng::with_seed(7);
    let mut written = 0;
    for kill in 1..=KILLS {
        // Every line that has no record yet is fetched again.
        let (before, recorded) = (scenario.origin.requests().len() as u64, seqs(&scenario).len() as u64);
        let running = scenario.follow("['urls']", &config);
        let mut pass = |written: u64, most| {
            let requests = scenario.origin.requests().len() as u64 + random.u64(0..most);
            scenario.origin.wait_for_requests(requests.min(before + written - recorded) as usize);
        };
        for rotation in 0..2 {
            let lines = 10 + 7 * kill % 13;
            scenario.append("urls", written + 1..=written + lines);
            written += lines;
            pass(written, 20);
            rotate(&scenario, 2 * kill + rotation);
        }
        pass(written, 10);
        running.kill();
    }
    let config = format!("[source.urls.file]\npaths = ['urls']\n{config}").replace("rotate_wait = '100ms'\n", "");
    scenario.append("urls", [written + 1]);
    let ended = scenario.fetchd(&[]).config(&config).run("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(seqs(&scenario), (1..=written + 1).map(|n| (n, n)).collect::<Vec<_>>(), "{}", ended.stderr);
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

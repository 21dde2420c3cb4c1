//! Files that grow, are rotated, come and go, while they are read.

use std::fs;
use std::io::Write;

use nix::sys::signal::Signal;

use crate::scenario::{Scenario, line};

#[test]
fn a_line_is_fetched_as_soon_as_its_end_is_there() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=2);
    let mut running = scenario.follow("['urls']", "");
    assert_eq!((line(&running.record()), line(&running.record())), ((1, 1), (2, 2)));
    let mut file = scenario.writer("urls");
    file.write_all(scenario.origin.url("/ok/3").as_bytes()).unwrap();
    file.write_all(b"3\n").unwrap();
    assert_eq!(line(&running.record()), (3, 33));
    file.write_all(scenario.origin.url("/ok/4").as_bytes()).unwrap();
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_rotated_under_load_loses_no_line_and_counts_on() {
    const ROTATIONS: u64 = 8;
    const EACH: u64 = 200;
    let scenario = Scenario::new();
    scenario.append("urls", 1..=1);
    let running = scenario.follow("['urls']", "rotate_wait = '100ms'");
    assert_eq!(line(&running.record()), (1, 1));
    for rotation in 0..ROTATIONS {
        let mut file = scenario.writer("urls");
        let first = rotation * EACH + 2;
        scenario.append_to(&mut file, first..first + EACH / 2);
        for old in (1..=rotation).rev() {
            scenario.rename(&format!("urls.{old}"), &format!("urls.{}", old + 1));
        }
        if rotation + 1 < ROTATIONS {
            scenario.rename("urls", "urls.1");
        }
        // Its writer is late to notice.
        scenario.append_to(&mut file, first + EACH / 2..first + EACH);
    }
    for n in 2..=ROTATIONS * EACH + 1 {
        assert_eq!(line(&running.record()), (n, n));
    }
}

#[test]
fn what_is_written_to_a_file_after_it_was_rotated_away_comes_before_the_new_file() {
    let scenario = Scenario::new();
    let mut file = scenario.writer("urls");
    scenario.append_to(&mut file, 1..=1);
    let running = scenario.follow("['urls']", "rotate_wait = '1s'");
    assert_eq!(line(&running.record()), (1, 1));
    scenario.rename("urls", "urls.1");
    scenario.append("urls", 3..=3);
    scenario.append_to(&mut file, 2..=2);
    assert_eq!((line(&running.record()), line(&running.record())), ((2, 2), (3, 3)));
}

#[test]
fn a_file_that_is_cut_in_place_is_read_from_its_start_and_counts_on() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=3);
    let running = scenario.follow("['urls']", "");
    for n in 1..=3 {
        assert_eq!(line(&running.record()), (n, n));
    }
    fs::write(scenario.path("urls"), scenario.origin.url("/ok/4") + "\n").unwrap();
    running.message("urls was truncated; reading from the start. Lines not read before the truncation are lost");
    assert_eq!(line(&running.record()), (4, 4));
}

#[test]
fn a_file_whose_directory_is_gone_for_a_while_is_waited_for() {
    let scenario = Scenario::new();
    fs::create_dir(scenario.path("logs")).unwrap();
    scenario.append("logs/urls", 1..=1);
    let mut running = scenario.follow("['logs/urls']", "rotate_wait = '100ms'");
    assert_eq!(line(&running.record()), (1, 1));
    fs::remove_dir_all(scenario.path("logs")).unwrap();
    running.message("logs/urls cannot be followed for now: No such file or directory");
    fs::create_dir(scenario.path("logs")).unwrap();
    scenario.append("logs/urls", 2..=2);
    assert_eq!(line(&running.record()), (2, 2));
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("cannot be followed"), "said twice: {}", ended.stderr);
}

#[test]
fn files_that_come_later_are_found_whether_a_path_or_a_pattern_names_them() {
    let scenario = Scenario::new();
    fs::create_dir(scenario.path("logs")).unwrap();
    let running = scenario.follow("['urls', 'logs/*.txt']", "");
    for (n, name) in [(1, "logs/a.txt"), (2, "urls"), (3, "logs/b.txt")] {
        scenario.append(name, [n]);
        let record = running.record();
        assert_eq!((record["file"].as_str(), line(&record)), (Some(name), (1, n)));
    }
    scenario.append("logs/a.txt", [4]);
    assert_eq!(line(&running.record()), (2, 4));
}

#[test]
fn a_followed_file_is_gone_on_with_after_a_stop_across_its_rotation() {
    let scenario = Scenario::new();
    let config = "rotate_wait = '100ms'\n[state]\ndata_dir = 'state'";
    scenario.append("urls", 1..=2);
    let mut running = scenario.follow("['urls']", config);
    assert_eq!((line(&running.record()), line(&running.record())), ((1, 1), (2, 2)));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(0));

    scenario.append("urls", 3..=3);
    scenario.rename("urls", "urls.1");
    scenario.append("urls", 4..=4);
    let mut running = scenario.follow("['urls']", config);
    assert_eq!((line(&running.record()), line(&running.record())), ((3, 3), (4, 4)));
    scenario.append("urls", 5..=5);
    assert_eq!(line(&running.record()), (5, 5));
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let scenario = Scenario::new();
    nix::unistd::mkfifo(&scenario.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (paths, words) in [("['fifo']", "is not a regular file"), ("['-']", "standard input cannot be followed")] {
        let ended = scenario.follow(paths, "").wait();
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "{}", ended.stderr);
    }
    let config = "[source.urls.file]\npaths = ['none*']";
    let ended = scenario.fetchd(&[]).config(config).run("");
    assert!(ended.code == Some(2) && ended.stderr.contains("no file matches none*"), "{}", ended.stderr);
}

#[test]
fn a_pattern_that_matches_an_output_is_refused() {
    let scenario = Scenario::new();
    scenario.append("a.jsonl", 1..=1);
    let config = "[source.urls.file]\npaths = ['*.jsonl']\n[sink.out.jsonl]\npath = 'out.jsonl'";
    let ended = scenario.fetchd(&[]).config(config).run("");
    assert!(ended.code == Some(2) && ended.stderr.contains("also read as input"), "{}", ended.stderr);
    assert_eq!(scenario.origin.accepts(), 0);
}

#[test]
fn a_pattern_that_would_come_to_match_an_output_is_refused() {
    let scenario = Scenario::new();
    let config = |path: &str, more: &str| {
        format!(
            "[source.urls.file]\npaths = ['{path}']\nfollow = true\n[sink.out.jsonl]\npath = 'out/urls.jsonl'\n{more}"
        )
    };
    fs::create_dir(scenario.path("out")).unwrap();
    let dir = scenario.path("out").display().to_string();
    for (path, more, name) in [
        ("out/*.jsonl", "rotate_size = '1MiB'", "out/urls-000001.jsonl"),
        (&format!("{dir}/urls-*1?.jsonl"), "rotate_every = '1h'", "out/urls-000010.jsonl"),
        ("out/*", "compress = 'zstd'", "out/urls-000001.jsonl.zst.part"),
        ("./out/*.zst", "compress = 'zstd'", "out/urls-000001.jsonl.zst"),
        ("out/urls-000002.jsonl", "rotate_size = '1MiB'", "out/urls-000002.jsonl"),
    ] {
        let ended = scenario.fetchd(&[]).config(&config(path, more)).start().wait();
        let says = format!("cannot write to {name}: {path} of a followed source would read it as input");
        assert!(ended.code == Some(2) && ended.stderr.contains(&says), "{says}: {}", ended.stderr);
    }
    scenario.append("out/urls.txt", 1..=1);
    let running = scenario.fetchd(&[]).config(&config("out/*.txt", "rotate_size = '1MiB'\n[sink.show.stdout]")).start();
    assert_eq!(line(&running.record()), (1, 1));
}

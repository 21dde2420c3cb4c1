//! The same command again: what is done is not fetched again, and what is not done is not forgotten.

use std::fs;
use std::io::Write;

use nix::sys::signal::Signal;

use crate::common::origin::{Step, send};
use crate::scenario::{Scenario, line, lines};

#[test]
fn the_same_command_again_fetches_nothing_and_then_only_what_is_new() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=3);
    let first = scenario.resume("urls");
    assert_eq!(lines(&first), [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(first.records[0]["file"], "urls");
    assert_eq!(lines(&scenario.resume("urls")), []);
    scenario.append("urls", 4..=5);
    assert_eq!(lines(&scenario.resume("urls")), [(4, 4), (5, 5)]);
    assert_eq!(lines(&scenario.resume("urls")), []);
    assert_eq!(scenario.origin.requests().len(), 5);
}

#[test]
fn the_summary_of_a_run_without_a_new_line_says_that_earlier_runs_have_done_all() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=3);
    let first = |args: &[&str]| {
        let ended = scenario.fetchd(args).config("log.format = 'text'").run("");
        let line = ended.stderr.lines().find(|line| line.contains(" lines in ")).map(str::to_owned);
        line.unwrap_or(ended.stderr)
    };
    let durable = ["-i", "urls", "--data-dir", "state"];
    assert!(first(&durable).ends_with("/s)"));
    let again = first(&durable);
    let all_done = ": the input had no new line; 3 lines are done by earlier runs";
    assert!(again.starts_with("0 lines in ") && again.ends_with(all_done), "{again}");
    scenario.append("urls", 4..=5);
    assert!(first(&durable).ends_with("/s)"));
    fs::write(scenario.path("none"), "").unwrap();
    let empty = first(&["-i", "none"]);
    assert!(empty.starts_with("0 lines in ") && empty.ends_with(" (0.0/s)"), "{empty}");
}

#[test]
fn a_file_of_more_than_a_kibibyte_is_gone_on_with_as_well() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=100);
    assert_eq!(lines(&scenario.resume("urls")).len(), 100);
    assert_eq!(lines(&scenario.resume("urls")), []);
    scenario.append("urls", 101..=102);
    assert_eq!(lines(&scenario.resume("urls")), [(101, 101), (102, 102)]);
}

#[test]
fn blank_lines_and_a_last_line_without_its_end_are_counted_as_they_were() {
    let scenario = Scenario::new();
    fs::write(
        scenario.path("urls"),
        format!("\n\n{}\n\n{}", scenario.origin.url("/ok/1"), scenario.origin.url("/ok/2")),
    )
    .unwrap();
    assert_eq!(lines(&scenario.resume("urls")), [(1, 1), (2, 2)]);
    assert_eq!(lines(&scenario.resume("urls")), []);
    let mut file = scenario.writer("urls");
    file.write_all(b"\n\n").unwrap();
    scenario.append_to(&mut file, [3]);
    assert_eq!(lines(&scenario.resume("urls")), [(3, 3)]);
}

#[test]
fn a_line_that_was_not_done_when_the_run_was_given_up_is_done_by_the_next_one() {
    let scenario = Scenario::new();
    let fine = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{\"n\":2}";
    scenario.origin.play_in_turn("/ok/2", [vec![Step::Stall], vec![send(fine)]]);
    scenario.append("urls", 1..=4);
    let args = ["-i", "urls", "--data-dir", "state"];
    let mut running = scenario.fetchd(&args).config("shutdown.grace = '100ms'").start();
    let mut done: Vec<_> = (0..3).map(|_| line(&running.record())).collect();
    done.sort_unstable();
    assert_eq!(done, [(1, 1), (3, 3), (4, 4)]);
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(4), 0), "{}", ended.stderr);
    scenario.append("urls", 5..=5);
    assert_eq!(lines(&scenario.resume("urls")), [(2, 2), (5, 5)]);
    assert_eq!(lines(&scenario.resume("urls")), []);
}

#[test]
fn a_file_that_was_rotated_away_between_two_runs_is_found_and_read_to_its_end() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=2);
    assert_eq!(lines(&scenario.resume("urls")), [(1, 1), (2, 2)]);
    scenario.append("urls", 3..=3);
    scenario.rename("urls", "urls.2");
    scenario.append("urls.1", 4..=5);
    scenario.append("urls", 6..=6);
    assert_eq!(lines(&scenario.resume("urls")), [(3, 3), (4, 4), (5, 5), (6, 6)]);
    assert_eq!(lines(&scenario.resume("urls")), []);
}

#[test]
fn a_file_that_is_gone_or_was_overwritten_is_said_and_what_is_there_is_new() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=3);
    assert_eq!(lines(&scenario.resume("urls")), [(1, 1), (2, 2), (3, 3)]);
    scenario.append("new", 4..=5);
    scenario.rename("new", "urls");
    let replaced = scenario.resume_anew("urls");
    assert_eq!(lines(&replaced), [(4, 4), (5, 5)]);
    assert!(replaced.stderr.contains("urls: the file read before is gone or was overwritten"), "{}", replaced.stderr);
    assert_eq!(lines(&scenario.resume("urls")), []);

    fs::write(scenario.path("urls"), scenario.origin.url("/ok/6")).unwrap();
    let shorter = scenario.resume_anew("urls");
    assert_eq!(lines(&shorter), [(6, 6)]);
    assert!(shorter.stderr.contains("was overwritten"), "{}", shorter.stderr);
}

#[test]
fn a_file_that_was_overwritten_with_lines_of_the_same_lengths_is_noticed() {
    let scenario = Scenario::new();
    scenario.append("urls", 1..=3);
    assert_eq!(lines(&scenario.resume("urls")), [(1, 1), (2, 2), (3, 3)]);
    let text = fs::read_to_string(scenario.path("urls")).unwrap();
    fs::write(scenario.path("urls"), text.replace("/ok/2", "/ok/7")).unwrap();
    let overwritten = scenario.resume_anew("urls");
    assert_eq!(lines(&overwritten), [(4, 1), (5, 7), (6, 3)]);
    assert!(overwritten.stderr.contains("was overwritten"), "{}", overwritten.stderr);
    assert_eq!(lines(&scenario.resume("urls")), []);
}

#[test]
fn a_last_line_that_is_completed_after_it_was_fetched_is_one_new_line_and_said() {
    let scenario = Scenario::new();
    fs::write(scenario.path("urls"), format!("{}\n{}", scenario.origin.url("/ok/1"), scenario.origin.url("/ok/2")))
        .unwrap();
    assert_eq!(lines(&scenario.resume("urls")), [(1, 1), (2, 2)]);
    let mut file = scenario.writer("urls");
    file.write_all(b"3\n").unwrap();
    scenario.append_to(&mut file, [4]);
    let completed = scenario.resume("urls");
    assert_eq!(lines(&completed), [(3, 23), (4, 4)]);
    let said = "urls: a line without LF was completed after it had been read; the whole line is a new line";
    assert!(completed.stderr.contains(said), "{}", completed.stderr);
    assert_eq!(lines(&scenario.resume("urls")), []);
}

#[test]
fn each_of_several_files_has_its_own_count_whatever_is_added_later() {
    let scenario = Scenario::new();
    let run = |args: &[&str]| {
        let memory = ["--data-dir", "state", "--ordered"];
        let ended = scenario.fetchd(&[args, &memory].concat()).run("");
        let files = ended.records.iter().map(|record| record["file"].as_str().unwrap().to_owned());
        files.zip(lines(&ended)).collect::<Vec<_>>()
    };
    let of = |file: &str, lines: (u64, u64)| (file.to_owned(), lines);
    scenario.append("a", 1..=1);
    assert_eq!(run(&["-i", "a"]), [of("a", (1, 1))]);
    scenario.append("a", 2..=2);
    scenario.append("b", 3..=4);
    assert_eq!(run(&["-i", "b", "-i", "a"]), [of("b", (1, 3)), of("b", (2, 4)), of("a", (2, 2))]);
    scenario.append("a", 5..=5);
    assert_eq!(run(&["-i", "a"]), [of("a", (3, 5))]);
}

//! What people and logrotate do to an output while it is written: they delete it, rename it, put another file in its place,
//! truncate it, or take away its directory. Each record is in a file afterwards, or counted in a warning.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::{Ended, Fetchd, Running, seq};
use crate::common::origin::Origin;
use crate::place::Place;
use crate::scenario::{Scenario, text};

/// A run without a data directory, whose records go to standard output, too, so that each can be waited for.
pub struct Run {
    pub scenario: Scenario,
    pub origin: Origin,
    pub fetchd: Running,
    /// Lines so far.
    pub lines: u64,
}

impl Run {
    pub fn start(keys: &str) -> Self {
        Self::start_in(Scenario::new(), keys)
    }

    pub fn start_in(scenario: Scenario, keys: &str) -> Self {
        let config = format!("[sink.seen.stdout]\n[sink.results.jsonl]\npath = 'out/results.jsonl'\n{keys}");
        fs::create_dir_all(scenario.path("out")).unwrap();
        let fetchd = Fetchd::local().directory(scenario.dir.path()).config(&config).start();
        Self { scenario, origin: Origin::start(), fetchd, lines: 0 }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scenario.path(name)
    }

    pub fn fetch(&mut self, lines: u64) {
        for _ in 0..lines {
            self.lines += 1;
            self.fetchd.line(&self.origin.url("/ok/1"));
            assert_eq!(seq(&self.fetchd.record()), self.lines);
        }
    }

    /// Fetches one line after the other until the last record is in this file.
    pub fn fetch_until_in(&mut self, name: &str) {
        let start = Instant::now();
        loop {
            self.fetch(1);
            let due = Instant::now();
            // Records are flushed when none comes for 0.2 s.
            while due.elapsed().as_millis() < 500 {
                if self.path(name).exists() && numbers(&self.path(name)).last() == Some(&self.lines) {
                    return;
                }
                std::thread::yield_now();
            }
            assert!(start.elapsed() < PATIENCE, "no record came to {name}");
        }
    }

    pub fn end(&mut self) -> Ended {
        self.fetchd.stdin = None;
        let ended = self.fetchd.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// The records in these files, one file after the other.
    pub fn recorded(&self, names: &[&str]) -> Vec<u64> {
        names.iter().flat_map(|name| numbers(&self.path(name))).collect()
    }

    pub fn all(&self) -> Vec<u64> {
        (1..=self.lines).collect()
    }
}

/// The numbers of the whole records in a file.
fn numbers(path: &Path) -> Vec<u64> {
    let text = text(path);
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| seq(&serde_json::from_str(line).unwrap())).collect()
}

/// The records that a warning says are gone.
fn gone(warning: &str) -> u64 {
    let (_, rest) = warning.split_once("one with it: ").unwrap_or_else(|| panic!("{warning}"));
    rest.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn a_deleted_output_is_opened_anew_with_a_warning_and_every_record_is_in_it_or_counted() {
    for keys in ["", "fsync = 'batch'"] {
        let mut run = Run::start(keys);
        run.fetch_until_in("out/results.jsonl");
        let flushed = run.lines;
        fs::remove_file(run.path("out/results.jsonl")).unwrap();
        run.fetch_until_in("out/results.jsonl");
        let warning = run.fetchd.message("was deleted");
        assert!(warning.contains("out/results.jsonl"), "{warning}");
        run.fetch(3);
        run.end();
        let there = numbers(&run.path("out/results.jsonl"));
        assert_eq!(there.len() as u64 + gone(&warning), run.lines, "{warning}");
        assert!(there.iter().all(|n| run.all().contains(n)) && there.contains(&(flushed + 1)));
        assert!(gone(&warning) <= flushed, "{warning}");
    }
}

#[test]
fn records_of_a_file_that_is_deleted_while_thousands_come_are_in_the_new_one_or_counted() {
    const LINES: u64 = 3_000;
    let run = Run::start("");
    let Run { scenario, origin, mut fetchd, .. } = run;
    let output = scenario.path("out/results.jsonl");
    let writer = fetchd.write_all(format!("{}\n", origin.url("/ok/1")).repeat(LINES as usize).into());
    for n in 1..=LINES {
        fetchd.record();
        if n % 1_000 == 500 {
            // It can be gone already, as long as nothing was flushed since.
            let _ = fs::remove_file(&output);
        }
    }
    writer.join().unwrap();
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warned: u64 = ended.stderr.lines().filter(|line| line.contains("was deleted")).map(gone).sum();
    let mut there = numbers(&output);
    there.sort_unstable();
    there.dedup();
    assert_eq!(there.len() as u64 + warned, LINES, "{}", ended.stderr);
}

#[test]
fn an_output_that_is_deleted_before_its_first_record_loses_none() {
    for keys in ["", "compress = 'zstd'"] {
        let mut run = Run::start(keys);
        let active = if keys.is_empty() { "out/results.jsonl" } else { "out/results-000001.jsonl.zst.part" };
        let start = Instant::now();
        while !run.path(active).exists() {
            assert!(start.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        // It is watched from the start of the run on, which the first line waits for.
        run.fetchd.line("not a url");
        run.fetchd.record();
        run.lines = 1;
        fs::remove_file(run.path(active)).unwrap();
        run.fetch(2);
        let ended = run.end();
        let there = run.recorded(&[active.trim_end_matches(".part")]);
        let warned: u64 = ended.stderr.lines().filter(|line| line.contains("was deleted")).map(gone).sum();
        assert_eq!(there.len() as u64 + warned, 3, "{}", ended.stderr);
        assert!(there.contains(&2) && there.contains(&3), "{there:?}: {}", ended.stderr);
    }
}

#[test]
fn a_file_that_is_renamed_or_replaced_keeps_its_records_and_the_next_ones_are_in_the_new_one() {
    let rename = |dir: &Path| fs::rename(dir.join("results.jsonl"), dir.join("old.jsonl")).unwrap();
    // The old one keeps a name, so that the test can read it.
    let replace = |dir: &Path| {
        fs::hard_link(dir.join("results.jsonl"), dir.join("old.jsonl")).unwrap();
        fs::write(dir.join("new.jsonl"), "").unwrap();
        fs::rename(dir.join("new.jsonl"), dir.join("results.jsonl")).unwrap();
    };
    for change in [&rename as &dyn Fn(&Path), &replace] {
        let mut run = Run::start("");
        run.fetch_until_in("out/results.jsonl");
        change(&run.path("out"));
        run.fetch_until_in("out/results.jsonl");
        let warning = run.fetchd.message("was renamed or replaced");
        assert!(warning.contains("out/results.jsonl"), "{warning}");
        run.fetch(2);
        run.end();
        assert_eq!(run.recorded(&["out/old.jsonl", "out/results.jsonl"]), run.all());
    }
}

#[test]
fn a_link_that_leads_elsewhere_now_is_followed() {
    let scenario = Scenario::new();
    fs::create_dir(scenario.path("out")).unwrap();
    symlink("a.jsonl", scenario.path("out/results.jsonl")).unwrap();
    let mut run = Run::start_in(scenario, "");
    run.fetch_until_in("out/a.jsonl");
    symlink("b.jsonl", run.path("out/link")).unwrap();
    fs::rename(run.path("out/link"), run.path("out/results.jsonl")).unwrap();
    run.fetch_until_in("out/b.jsonl");
    run.end();
    assert_eq!(run.recorded(&["out/a.jsonl", "out/b.jsonl"]), run.all());
}

#[test]
fn a_directory_that_is_gone_is_waited_for() {
    let remove = |run: &Run| fs::remove_dir_all(run.path("out")).unwrap();
    let rename = |run: &Run| fs::rename(run.path("out"), run.path("away")).unwrap();
    for take_away in [&remove as &dyn Fn(&Run), &rename] {
        let mut run = Run::start("");
        run.fetch_until_in("out/results.jsonl");
        take_away(&run);
        run.fetch(1);
        let warning = run.fetchd.message("the directory of");
        assert!(warning.contains("out/results.jsonl"), "{warning}");
        fs::create_dir(run.path("out")).unwrap();
        run.fetchd.message("is there again");
        run.fetch(1);
        run.end();
        let there = run.recorded(&["out/results.jsonl"]);
        assert_eq!(there.last(), Some(&run.lines));
    }
}

#[test]
fn a_stop_while_a_directory_is_gone_ends_on_time() {
    let mut run = Run::start("[shutdown]\ngrace = '100ms'");
    run.fetch_until_in("out/results.jsonl");
    fs::remove_dir_all(run.path("out")).unwrap();
    run.fetch(1);
    run.fetchd.message("the directory of");
    let start = Instant::now();
    run.fetchd.signal(Signal::SIGTERM);
    let ended = run.fetchd.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    for said in ["finishing the outputs (at most", "an output, a journal or a checkpoint could not be written"] {
        assert!(ended.stderr.contains(said), "`{said}` is missing in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("finishing 0"), "{}", ended.stderr);
    assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
}

#[test]
fn a_file_that_is_truncated_is_said_and_goes_on() {
    let mut run = Run::start("");
    run.fetch_until_in("out/results.jsonl");
    fs::write(run.path("out/results.jsonl"), "").unwrap();
    run.fetch_until_in("out/results.jsonl");
    let warning = run.fetchd.message("was truncated");
    assert!(warning.contains("out/results.jsonl"), "{warning}");
    run.fetch(1);
    run.end();
    assert_eq!(run.recorded(&["out/results.jsonl"]).last(), Some(&run.lines));
}

#[test]
fn nothing_is_written_behind_a_record_that_was_cut() {
    for (keys, path) in [("", "out/results.jsonl"), ("compress = 'gzip'", "out/results-000001.jsonl.gz.part")] {
        let mut run = Run::start(keys);
        run.fetch_until_in(path);
        let length = fs::metadata(run.path(path)).unwrap().len();
        fs::OpenOptions::new().write(true).open(run.path(path)).unwrap().set_len(length - 5).unwrap();
        run.fetch(1);
        let warning = run.fetchd.message("was truncated");
        assert!(warning.contains("record") && warning.contains("of this run are gone"), "{warning}");
        run.fetch(1);
        run.end();
        let finished = path.trim_end_matches(".part");
        assert_eq!(run.recorded(&[finished]).last(), Some(&run.lines), "{path}");
    }
}

#[test]
fn a_directory_in_the_place_of_the_file_ends_the_run_with_its_path() {
    let mut run = Run::start("");
    run.fetch_until_in("out/results.jsonl");
    fs::remove_file(run.path("out/results.jsonl")).unwrap();
    fs::create_dir(run.path("out/results.jsonl")).unwrap();
    run.fetch(1);
    let ended = run.fetchd.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write to out/results.jsonl"), "{}", ended.stderr);
}

#[test]
fn a_numbered_file_that_is_deleted_or_renamed_is_followed_by_another() {
    let remove = |part: &Path| fs::remove_file(part).unwrap();
    let rename = |part: &Path| fs::rename(part, part.with_extension("away")).unwrap();
    for (take_away, lost) in [(&remove as &dyn Fn(&Path), true), (&rename, false)] {
        let mut run = Run::start("rotate_size = '1MiB'");
        let part = "out/results-000001.jsonl.part";
        run.fetch_until_in(part);
        take_away(&run.path(part));
        let first_after = run.lines + 1;
        run.fetch(1);
        run.fetchd.message(if lost { "was deleted" } else { "was renamed" });
        run.fetch(1);
        let ended = run.end();
        let files = fs::read_dir(run.path("out")).unwrap().map(|entry| entry.unwrap().path());
        let mut there: Vec<_> = files.flat_map(|path| numbers(&path)).collect();
        there.sort_unstable();
        assert!(there.ends_with(&[first_after, first_after + 1]), "{there:?}: {}", ended.stderr);
        assert!(lost || there == run.all(), "{there:?}: {}", ended.stderr);
    }
}

#[test]
fn what_a_checkpoint_calls_done_after_a_deletion_is_in_the_new_file_also_after_kill_9() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut fetchd = place.fetchd().start();
    place.one_by_one(&mut fetchd, &origin, 1..=3);
    fs::remove_file(&place.output).unwrap();
    place.one_by_one(&mut fetchd, &origin, 4..=6);
    let warning = fetchd.message("was deleted");
    assert_eq!(gone(&warning), 3, "{warning}");
    fetchd.kill();
    place.finish(&origin, 7..=8);
    assert_eq!((place.recorded(), origin.requests().len()), (vec![4, 5, 6, 7, 8], 8));
}

#[test]
fn a_renamed_output_of_a_durable_run_has_each_line_once_also_after_kill_9() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut fetchd = place.fetchd().start();
    place.one_by_one(&mut fetchd, &origin, 1..=3);
    let old = place.output.with_extension("1");
    fs::rename(&place.output, &old).unwrap();
    place.one_by_one(&mut fetchd, &origin, 4..=6);
    fetchd.kill();
    place.finish(&origin, 7..=8);
    assert_eq!([numbers(&old), place.recorded()].concat(), (1..=8).collect::<Vec<_>>());
    assert_eq!(origin.requests().len(), 8);
}

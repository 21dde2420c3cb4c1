//! A second run over lines that are done, whose output vanished or is another one now: it would end with an empty output
//! and exit code 0. It is refused where that can happen, and nowhere else.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::Origin;

/// A directory in which three lines were fetched.
struct Job {
    dir: TempDir,
    origin: Origin,
}

const ONE: &str = "[sink.a.jsonl]\npath = 'a.jsonl'\n";
const TWO: &str = "[sink.a.jsonl]\npath = 'a.jsonl'\n[sink.b.jsonl]\npath = 'b.jsonl'\n";
const NUMBERED: &str = "[sink.a.jsonl]\npath = 'a.jsonl'\nrotate_size = '1GiB'\n";

impl Job {
    fn new() -> Self {
        let job = Self { dir: tempfile::tempdir().unwrap(), origin: Origin::start() };
        job.write("urls.txt", 3);
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, lines: usize) {
        let text: String = (1..=lines).map(|n| self.origin.url(&format!("/ok/{n}")) + "\n").collect();
        fs::write(self.path(name), text).unwrap();
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().count()
    }

    fn run(&self, args: &[&str]) -> Ended {
        let args = ["--data-dir", "state", "-i", "urls.txt"].iter().chain(args);
        Fetchd::with(args).directory(self.dir.path()).run("")
    }

    fn run_with(&self, config: &str) -> Ended {
        Fetchd::with(["--data-dir", "state", "-i", "urls.txt"]).directory(self.dir.path()).config(config).run("")
    }

    /// Fetched to these outputs.
    fn fetched(config: &str) -> Self {
        let job = Self::new();
        let ended = job.run_with(config);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        job
    }

    fn is_refused(&self, ended: &Ended, words: &[&str]) {
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for word in words.iter().chain(&["according to state lines of urls.txt with", "another `--data-dir`"]) {
            assert!(ended.stderr.contains(word), "should say `{word}`:\n{}", ended.stderr);
        }
        assert_eq!(self.origin.requests().len(), 3);
    }

    fn goes_on(&self, ended: &Ended) {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

#[test]
fn an_output_that_vanished_is_missed_before_it_is_created_anew() {
    for config in [ONE, TWO] {
        let job = Job::fetched(config);
        fs::remove_file(job.path("a.jsonl")).unwrap();
        job.is_refused(&job.run_with(config), &["cannot write to a.jsonl: it is gone", "put it back"]);
        assert!(!job.path("a.jsonl").exists());
    }
}

#[test]
fn another_output_is_refused_and_the_old_one_is_named() {
    let job = Job::new();
    job.goes_on(&job.run(&["-o", "a.jsonl"]));
    for args in [&["-o", "b.jsonl"][..], &["-o", "-"], &[], &["-o", "/dev/null"]] {
        let ended = job.run(args);
        job.is_refused(&ended, &["with records in a.jsonl are done; go on with a.jsonl"]);
        assert!(ended.records.is_empty() && !job.path("b.jsonl").exists());
    }
    job.goes_on(&job.run(&["-o", "a.jsonl"]));
    assert_eq!(job.lines("a.jsonl"), 3);
}

#[test]
fn a_path_that_a_configuration_changed_is_refused_also_under_another_name_or_with_numbers() {
    let changed = |of: &str| of.replace("a.jsonl'", "c.jsonl'");
    for (before, after) in [
        (ONE, changed(ONE)),
        (ONE, changed(ONE).replace("sink.a", "sink.c")),
        (NUMBERED, changed(NUMBERED)),
        (TWO, changed(TWO)),
    ] {
        let job = Job::fetched(before);
        job.is_refused(&job.run_with(&after), &["cannot write to c.jsonl", "with records in a.jsonl are done"]);
    }
}

#[test]
fn an_output_that_is_there_in_some_way_is_gone_on_with() {
    let other_names = ONE.replace("sink.a", "sink.c");
    let renamed = |job: &Job| fs::rename(job.path("a.jsonl"), job.path("a.jsonl.1")).unwrap();
    let copied = |job: &Job| {
        fs::copy(job.path("a.jsonl"), job.path("copy")).unwrap();
        fs::rename(job.path("copy"), job.path("a.jsonl")).unwrap();
    };
    let moved = |job: &Job| {
        fs::create_dir(job.path("d")).unwrap();
        fs::copy(job.path("a.jsonl"), job.path("d/a.jsonl")).unwrap();
        fs::remove_file(job.path("a.jsonl")).unwrap();
    };
    let taken_away = |job: &Job| fs::remove_file(job.path("a-000001.jsonl")).unwrap();
    let nothing = |_: &Job| {};
    type Change<'a> = &'a dyn Fn(&Job);
    let cases: [(&str, Change<'_>, String); 9] = [
        (ONE, &nothing, ONE.to_owned()),
        (ONE, &nothing, other_names),
        (ONE, &nothing, ONE.replace("'a.jsonl'", "'./a.jsonl'")),
        (ONE, &nothing, TWO.to_owned()),
        (TWO, &nothing, ONE.to_owned()),
        (ONE, &renamed, ONE.to_owned()),
        (ONE, &copied, ONE.to_owned()),
        (ONE, &moved, ONE.replace("'a.jsonl'", "'d/a.jsonl'")),
        (NUMBERED, &taken_away, NUMBERED.to_owned()),
    ];
    for (number, (before, change, after)) in cases.into_iter().enumerate() {
        let job = Job::fetched(before);
        change(&job);
        job.write("urls.txt", 4);
        let ended = job.run_with(&after);
        assert_eq!((ended.code, job.origin.requests().len()), (Some(0), 4), "{number}: {}", ended.stderr);
    }
}

#[test]
fn an_output_is_no_matter_where_no_line_of_the_run_is_done() {
    let job = Job::fetched(ONE);
    job.write("others.txt", 2);
    let args = ["--data-dir", "state", "-i", "others.txt", "-o", "others.jsonl"];
    job.goes_on(&Fetchd::with(args).directory(job.dir.path()).run(""));
    assert_eq!((job.lines("a.jsonl"), job.lines("others.jsonl")), (3, 2));
}

#[test]
fn an_input_that_goes_on_is_only_warned_of() {
    let job = Job::new();
    let source = "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\n";
    let run = |sink: &str, line: &str| {
        let config = format!("{source}{sink}");
        Fetchd::local().directory(job.dir.path()).config(&config).run(job.origin.url(line))
    };
    job.goes_on(&run(ONE, "/ok/1"));
    let other = run(&ONE.replace("a.jsonl'", "c.jsonl'"), "/ok/2");
    job.goes_on(&other);
    assert!(other.stderr.contains("c.jsonl gets the records from now on"), "{}", other.stderr);
    fs::remove_file(job.path("c.jsonl")).unwrap();
    let gone = run(&ONE.replace("a.jsonl'", "c.jsonl'"), "/ok/3");
    job.goes_on(&gone);
    assert!(gone.stderr.contains("cannot go on where it was"), "{}", gone.stderr);
    assert_eq!((job.lines("a.jsonl"), job.lines("c.jsonl")), (1, 1));
}

//! Durable standard input: what was accepted is finished by whoever comes next, whatever becomes of the producer, the
//! process or the journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::{Fetchd, Running, kind, seq};
use crate::common::origin::Origin;

/// A place for a configuration, its state and its outputs.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration with a durable source, an output on stdout, and these tables.
    fn durable(&self, tables: &str) -> Fetchd {
        self.configured("durable = true", tables)
    }

    fn configured(&self, source: &str, tables: &str) -> Fetchd {
        let state = self.path("state").display().to_string();
        Fetchd::local().config(&format!(
            "[source.urls.stdin]\n{source}\n[state]\ndata_dir = \"{state}\"\nmin_free = \"1\"\n{tables}"
        ))
    }

    fn journal(&self, command: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd"))
            .arg("state")
            .args(command)
            .arg("--data-dir")
            .arg(self.path("state"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn status(&self) -> Value {
        let (code, text) = self.journal(&["status", "--json"]);
        assert_eq!(code, Some(0));
        serde_json::from_str::<Value>(&text).unwrap()["sources"]["urls"].take()
    }

    /// The only segment of the journal.
    fn segment(&self) -> PathBuf {
        let mut segments = fs::read_dir(self.path("state/journal/urls")).unwrap();
        segments.next().unwrap().unwrap().path()
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it does not come to that");
    }
}

fn seqs<'a>(records: impl IntoIterator<Item = &'a Value>) -> Vec<u64> {
    let mut seqs: Vec<u64> = records.into_iter().map(seq).collect();
    seqs.sort_unstable();
    seqs
}

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Starts it with lines of which the first is answered and the others hang, and waits for the first record.
fn half_done(fetchd: Fetchd, origin: &Origin) -> Running {
    let mut running = fetchd.start();
    running.line(&origin.url("/ok/1"));
    assert_eq!(seq(&running.record()), 1);
    for n in 2..=4 {
        running.line(&origin.url(&format!("/hang/{n}")));
    }
    origin.wait_for_requests(4);
    running
}

#[test]
fn what_was_accepted_is_finished_after_a_kill_without_the_producer() {
    let (place, origin) = (Place::new(), Origin::start());
    let running = half_done(place.durable(""), &origin);
    running.kill();
    origin.script("/hang/2", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    origin.script("/hang/3", b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    origin.script("/hang/4", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let ended = place.durable("").run("");
    assert_eq!((ended.code, seqs(&ended.records).ends_with(&[2, 3, 4])), (Some(0), true), "{ended:?}");
    assert!(ended.stderr.contains("accepted lines of earlier runs"), "{}", ended.stderr);
    assert_eq!(place.status()["pending"], 0);
    let nothing = place.durable("").run("");
    assert_eq!((nothing.code, nothing.records.len()), (Some(0), 0));
}

#[test]
fn numbers_go_on_over_restarts() {
    let (place, origin) = (Place::new(), Origin::start());
    for n in 1..=3 {
        let ended = place.durable("").run(format!("{}\n", origin.url("/ok/1")));
        assert_eq!(seqs(&ended.records), [n]);
    }
}

#[test]
fn a_stop_leaves_what_does_not_finish_in_time_for_the_next_start() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = half_done(place.durable("[shutdown]\ngrace = \"100ms\""), &origin);
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(4), 0), "{ended:?}");
    assert!(ended.stderr.contains("left for the next start: 3 accepted lines of `urls`"), "{}", ended.stderr);
    assert_eq!(place.status()["pending"], 3);
    let (code, dump) = place.journal(&["dump"]);
    let pending: String = (2..=4).map(|n| format!("{}\n", origin.url(&format!("/hang/{n}")))).collect();
    assert_eq!((code, dump), (Some(0), pending));
}

#[test]
fn a_record_comes_as_soon_as_its_line_with_the_pipe_open() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = place.durable("").start();
    for n in 1..=5 {
        running.line(&origin.url(&format!("/ok/{n}")));
        assert_eq!(running.record()["json"]["n"], n);
    }
}

#[test]
fn whatever_lines_say_their_records_are_those_of_plain_input() {
    let origin = Origin::start();
    let mut input = format!("\u{feff}{}\r\n\n  \t \n", origin.url("/ok/1")).into_bytes();
    input.extend(b"\xff\xfe\n\t#0badc0de 1 1 1\n\t!5 x\n{\"url\":1}\nexample.com\nhttp://u:secret@h/\na\tb\n");
    input.extend(b"x".repeat(5000));
    input.extend(b"\nhttp://10.0.0.1/ \r\r\n");
    input.extend(origin.url("/ok/2").bytes());
    let normal = |source: &str| {
        let ended = Place::new().configured(&format!("max_line = \"1KiB\"\n{source}"), "").run(input.clone());
        assert_eq!(ended.code, Some(0));
        let mut records = ended.records;
        records.sort_by_key(seq);
        for record in &mut records {
            for key in ["state_id", "started", "elapsed_ms", "wait_ms", "waited_for", "ttfb_ms", "reused"] {
                record.as_object_mut().unwrap().remove(key);
            }
        }
        records
    };
    let (plain, durable) = (normal(""), normal("durable = true"));
    assert_eq!(plain.len(), 11);
    assert_eq!(plain, durable);
}

#[test]
fn a_full_journal_stops_the_reading_until_lines_are_done() {
    let (place, origin) = (Place::new(), Origin::start());
    let source = "durable = true\nmax_journal = \"40KiB\"";
    let mut running = place.configured(source, "[queue]\nwindow = 64").start();
    let lines: String = (0..4000).map(|n| format!("{}\n", origin.url(&format!("/ok/{n}")))).collect();
    let writer = running.write_all(lines.into_bytes());
    running.message("stopped reading the input until there is room");
    for _ in 0..4000 {
        assert_eq!(running.record()["outcome"], "ok");
    }
    writer.join().unwrap();
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_journal_that_is_full_of_what_is_done_takes_more_lines() {
    let (place, origin) = (Place::new(), Origin::start());
    let source = "durable = true\nmax_journal = \"40KiB\"";
    let lines = |n: u32| (0..n).map(|n| format!("{}\n", origin.url(&format!("/ok/{n}")))).collect::<String>();
    let mut running = place.configured(source, "").start();
    for _ in 0..2 {
        // Nearly as much as the journal holds; done, and committed, before more comes.
        running.line(lines(900).trim_end());
        for _ in 0..900 {
            running.record();
        }
        wait_until(|| place.status()["pending"] == 0);
    }
    running.kill();
    let ended = place.configured(source, "").run(lines(900));
    assert_eq!((ended.code, ended.records.len()), (Some(0), 900), "{}", ended.stderr);
}

#[test]
fn the_records_of_a_plain_run_are_not_those_of_a_source_that_becomes_durable() {
    let (place, origin) = (Place::new(), Origin::start());
    let results = place.path("results.jsonl");
    let sink = format!("[sink.results.jsonl]\npath = \"{}\"", results.display());
    let hangs = origin.url("/hang");
    let mut plain = place.configured("", &sink).start();
    for n in 1..=3 {
        plain.line(&origin.url(&format!("/ok/{n}")));
    }
    plain.line(&hangs);
    origin.wait_for_requests(4);
    wait_until(|| fs::read_to_string(&results).unwrap().lines().count() == 3);
    plain.kill();
    let ended = place.durable(&sink).run(format!("{}\n", origin.url("/ok/9")));
    assert_eq!(ended.code, Some(0));
    assert_eq!(records(&results).last().unwrap()["json"]["n"], 9);
    assert_eq!(records(&results).len(), 4);
}

#[test]
fn the_records_of_a_plain_run_between_two_durable_ones_are_not_those_of_accepted_lines() {
    let (place, origin) = (Place::new(), Origin::start());
    let results = place.path("results.jsonl");
    let sink = format!("[sink.results.jsonl]\npath = \"{}\"", results.display());
    half_done(place.durable(&format!("{sink}\n[sink.shown.stdout]")), &origin).kill();
    let plain = format!("[source.urls.stdin]\n{sink}");
    let lines: String = (11..=14).map(|n| format!("{}\n", origin.url(&format!("/ok/{n}")))).collect();
    assert_eq!(Fetchd::local().config(&plain).run(lines).code, Some(0));
    for n in 2..=4 {
        origin.script(&format!("/hang/{n}"), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
    assert_eq!(place.durable(&sink).run("").code, Some(0));
    let (plain, durable): (Vec<_>, Vec<_>) =
        records(&results).into_iter().partition(|record| record.get("state_id").is_none());
    assert_eq!((seqs(&plain), seqs(&durable)), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
}

#[test]
fn a_disk_that_is_nearly_full_stops_the_reading() {
    let (place, origin) = (Place::new(), Origin::start());
    let state = place.path("state").display().to_string();
    let config =
        format!("[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = \"{state}\"\nmin_free = \"1000TiB\"\n");
    let mut running = Fetchd::local().config(&config).start();
    running.line(&origin.url("/ok/1"));
    assert!(running.message("stopped reading the input").contains("state.min_free is 1000.0 TiB"));
    // The input is read before the run begins.
    running.wait_until_it_can_be_stopped();
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0));
    assert_eq!(place.status()["accepted"], 1, "it was taken from its producer, so it is kept");
}

#[test]
fn lines_whose_journal_is_damaged_have_records_that_say_so() {
    let (place, origin) = (Place::new(), Origin::start());
    let running = half_done(place.durable(""), &origin);
    running.kill();
    // The last of the batches is damaged in the middle, and followed by a whole one.
    let mut running = place.durable("").start();
    running.line(&origin.url("/hang/5"));
    // The first line is fetched again when it was done after the last checkpoint.
    let mut requests = 8;
    origin.wait_for_requests(requests);
    while origin.requests_for("/hang/5") == 0 {
        requests += 1;
        origin.wait_for_requests(requests);
    }
    running.kill();
    let mut bytes = fs::read(place.segment()).unwrap();
    let at = memchr::memmem::find(&bytes, b"/hang/3").unwrap();
    bytes[at] = b'?';
    fs::write(place.segment(), bytes).unwrap();
    let (code, said) = place.journal(&["check"]);
    assert_eq!(code, Some(1));
    assert!(said.contains(" lost; the next run gives each a record with the error `journal_damaged`"), "{said}");
    origin.on_accept([vec![]]);
    let ended = place.durable("[fetch]\ntimeout = \"50ms\"\n[retry]\nretries = 0").run("");
    let damaged: Vec<_> = ended.records.iter().filter(|record| kind(record) == "journal_damaged").collect();
    assert!(seqs(damaged.iter().copied()).contains(&3), "{:?}", ended.records);
    assert!(damaged.iter().all(|record| record["outcome"] == "rejected" && record["input"] == ""));
    assert_eq!(seqs(&ended.records).last(), Some(&5));
    assert_eq!(place.journal(&["check"]).0, Some(0), "what was lost has its records");
}

#[test]
fn a_second_process_on_a_data_directory_is_refused_and_touches_nothing() {
    let (place, origin) = (Place::new(), Origin::start());
    let running = half_done(place.durable(""), &origin);
    let ended = place.durable("").run(format!("{}\n", origin.url("/ok/9")));
    assert_eq!((ended.code, ended.records.len()), (Some(2), 0));
    assert!(ended.stderr.contains("another fetchd is using"), "{}", ended.stderr);
    assert_eq!(place.status()["accepted"], 4);
    drop(running);
}

#[test]
fn a_source_that_was_durable_and_is_not_now_is_refused() {
    let (place, origin) = (Place::new(), Origin::start());
    let input = format!("{}\n", origin.url("/ok/1"));
    assert_eq!(place.durable("").run(input.clone()).code, Some(0));
    let ended = place.configured("durable = false", "").run(input);
    assert_eq!((ended.code, ended.records.len()), (Some(2), 0));
    assert!(ended.stderr.contains("has it as a durable source of the kind stdin"), "{}", ended.stderr);
}

#[test]
fn plain_input_is_never_taken_for_done() {
    let (place, origin) = (Place::new(), Origin::start());
    let results = place.path("results.jsonl");
    let sink = format!("[sink.results.jsonl]\npath = \"{}\"", results.display());
    for times in 1..=2 {
        assert_eq!(place.configured("", &sink).run(format!("{}\n", origin.url("/ok/1"))).code, Some(0));
        assert_eq!(records(&results).len(), times);
    }
}

#[test]
fn a_new_data_directory_with_an_old_output_fetches_everything_it_is_given() {
    let (place, origin) = (Place::new(), Origin::start());
    let results = place.path("results.jsonl");
    let sink = format!("[sink.results.jsonl]\npath = \"{}\"", results.display());
    let input = format!("{}\n{}\n", origin.url("/ok/1"), origin.url("/ok/2"));
    assert_eq!(place.durable(&sink).run(input.clone()).code, Some(0));
    fs::remove_dir_all(place.path("state")).unwrap();
    assert_eq!(place.durable(&sink).run(input).code, Some(0));
    assert_eq!(seqs(&records(&results)), [1, 1, 2, 2]);
}

#[test]
fn a_sink_that_is_added_gets_what_is_done_from_then_on() {
    let (place, origin) = (Place::new(), Origin::start());
    let sink = |name: &str| format!("[sink.{name}.jsonl]\npath = \"{}\"\n", place.path(name).display());
    let line = |n: u32| format!("{}\n", origin.url(&format!("/ok/{n}")));
    assert_eq!(place.durable(&sink("one")).run(line(1)).code, Some(0));
    assert_eq!(place.durable(&(sink("one") + &sink("two"))).run(line(2)).code, Some(0));
    assert_eq!(place.durable(&sink("two")).run(line(3)).code, Some(0));
    assert_eq!(place.durable(&(sink("one") + &sink("two"))).run(line(4)).code, Some(0));
    assert_eq!(seqs(&records(&place.path("one"))), [1, 2, 4]);
    assert_eq!(seqs(&records(&place.path("two"))), [2, 3, 4]);
}

#[test]
fn the_state_of_a_journal_is_told_in_words() {
    let (place, origin) = (Place::new(), Origin::start());
    let running = half_done(place.durable(""), &origin);
    let (code, text) = place.journal(&["status"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("urls: accepted 4, done "), "{text}");
    drop(running);
}

#[test]
fn a_check_counts_the_lines_that_are_not_done() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = half_done(place.durable("[shutdown]\ngrace = \"100ms\""), &origin);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(4));
    let (code, said) = place.journal(&["check"]);
    assert_eq!(code, Some(0));
    assert_eq!(said, "urls: of 4 accepted, 3 are not done; all of these can be read, in 1 segment\n");
}

#[test]
fn lines_of_a_source_that_is_not_there_any_more_are_not_forgotten_in_silence() {
    let (place, origin) = (Place::new(), Origin::start());
    let mut running = half_done(place.durable("[shutdown]\ngrace = \"100ms\""), &origin);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(4));
    let state = place.path("state").display().to_string();
    let other = format!("[source.other.stdin]\ndurable = true\n[state]\ndata_dir = \"{state}\"\nmin_free = \"1\"");
    let ended = Fetchd::local().config(&other).run("");
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0));
    let says = "3 accepted lines of `urls`, a source that this run does not have";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}

#[test]
fn a_data_directory_that_keeps_no_lines_of_plain_input_says_so() {
    let (place, origin) = (Place::new(), Origin::start());
    let says = "with `durable = true` in [source.urls.stdin]";
    for (source, is_said) in [("", true), ("durable = true", false)] {
        // Each has a data directory of its own: one that was durable must stay so.
        let place = if is_said { &place } else { &Place::new() };
        let ended = place.configured(source, "").run(format!("{}\n", origin.url("/ok/1")));
        assert_eq!((ended.code, ended.stderr.contains(says)), (Some(0), is_said), "{}", ended.stderr);
    }
}

#[test]
fn a_journal_of_nowhere_is_an_error_that_says_what_to_give() {
    for (args, says) in [
        (vec!["state", "status"], "write --data-dir DIR"),
        (vec!["state", "dump", "--data-dir", "/nowhere"], "there is no state in /nowhere"),
    ] {
        let ended = Fetchd::bare(args).run("");
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    assert_eq!(Fetchd::local().config("[source.urls.stdin]\ndurable = true").run("").code, Some(2));
}

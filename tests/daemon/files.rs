//! Input and output files, and everything that must be refused before the first request is sent.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd, seq};
use crate::common::origin::Origin;

/// A directory of its own for each test, and a server that counts what reaches it.
struct Scenario {
    dir: TempDir,
    origin: Origin,
}

impl Scenario {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), origin: Origin::start() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of URLs.
    fn urls(&self, name: &str, paths: &[&str]) -> PathBuf {
        let text: String = paths.iter().map(|path| self.origin.url(path) + "\n").collect();
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Runs in the directory, with nothing on stdin.
    fn run(&self, args: &[&str]) -> Ended {
        Fetchd::with(args).directory(self.dir.path()).run("")
    }

    /// Runs in the directory with a URL on stdin; it must be refused, in these words, before anything is sent.
    fn refused(&self, args: &[&str], words: &[&str]) {
        let ended = Fetchd::with(args).directory(self.dir.path()).run(self.origin.url("/ok/1"));
        assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{args:?}\n{}", ended.stderr);
        for word in words {
            assert!(ended.stderr.contains(word), "{args:?} should say `{word}`:\n{}", ended.stderr);
        }
        assert_eq!(self.origin.accepts(), 0, "{args:?}");
    }
}

fn records(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_to_be_remembered_that_is_not_there_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    let ended = Fetchd::with(["-i", "nowhere.txt", "--data-dir", "state"]).directory(dir.path()).run("");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("nowhere.txt: there is no such file"), "{}", ended.stderr);
}

#[test]
fn several_input_files_are_named_and_counted_one_by_one() {
    let scenario = Scenario::new();
    scenario.urls("a", &["/ok/1", "/ok/2"]);
    scenario.urls("b", &["/ok/3"]);
    let ended = scenario.run(&["--ordered", "-i", "a", "-i", "b"]);
    let lines: Vec<_> = ended.records.iter().map(|r| (r["file"].clone(), seq(r), r["json"]["n"].clone())).collect();
    assert_eq!(lines, [(json!("a"), 1, json!(1)), (json!("a"), 2, json!(2)), (json!("b"), 1, json!(3))]);
}

#[test]
fn a_single_input_file_is_not_named_and_stdin_can_be_one_of_several() {
    let scenario = Scenario::new();
    scenario.urls("a", &["/ok/1"]);
    assert_eq!(scenario.run(&["-i", "a"]).only_record().get("file"), None);
    let args = ["--ordered", "-i", "a", "-i", "-"];
    let both = Fetchd::with(args).directory(scenario.dir.path()).run(scenario.origin.url("/ok/2"));
    let files: Vec<_> = both.records.iter().map(|record| record["file"].clone()).collect();
    assert_eq!(files, ["a", "-"]);
}

#[test]
fn an_output_file_is_appended_to_and_what_it_has_is_said() {
    let scenario = Scenario::new();
    scenario.urls("in", &["/ok/1", "/ok/2"]);
    let first = scenario.run(&["-i", "in", "-o", "out"]);
    assert_eq!((first.code, first.records.len()), (Some(0), 0), "{}", first.stderr);
    assert!(!first.stderr.contains("appending"), "{}", first.stderr);
    let second = scenario.run(&["-i", "in", "-o", "out"]);
    assert!(second.stderr.contains("appending to out, which has 2 records"), "{}", second.stderr);
    let seqs: Vec<_> = records(&scenario.path("out")).iter().map(seq).collect();
    assert_eq!(seqs.len(), 4);
}

#[test]
fn failures_can_go_to_a_file_of_their_own() {
    let scenario = Scenario::new();
    let input = ["/ok/1", "/status/404", "/ok/2"].map(|path| scenario.origin.url(path)).join("\n");
    let config = "[sink.results.jsonl]\npath = 'results.jsonl'\n\
                  [sink.failures.jsonl]\npath = 'failures.jsonl'\nrecords = 'not_ok'\nbody = 'none'";
    let ended = Fetchd::local().directory(scenario.dir.path()).config(config).run(input);
    assert_eq!((ended.code, ended.records.len()), (Some(0), 0), "{}", ended.stderr);
    let (results, failures) = (records(&scenario.path("results.jsonl")), records(&scenario.path("failures.jsonl")));
    assert_eq!((results.len(), failures.len()), (3, 1));
    assert_eq!((&failures[0]["status"], failures[0].get("body")), (&json!(404), None));
}

#[test]
fn the_end_that_a_killed_process_tore_is_repaired() {
    let scenario = Scenario::new();
    fs::write(scenario.path("out"), "{\"seq\":1}\n{\"seq\":2,\"inp").unwrap();
    scenario.urls("in", &["/ok/1"]);
    let ended = scenario.run(&["-i", "in", "-o", "out"]);
    assert!(ended.stderr.contains("which has 1 record"), "{}", ended.stderr);
    assert_eq!(records(&scenario.path("out")).len(), 2);
}

#[test]
fn what_cannot_be_opened_ends_the_run_before_the_first_request() {
    let scenario = Scenario::new();
    scenario.urls("good", &["/ok/1"]);
    fs::create_dir(scenario.path("directory")).unwrap();
    scenario.refused(&["-i", "missing"], &["missing", "No such file"]);
    scenario.refused(&["-i", "good", "-i", "missing"], &["missing", "No such file"]);
    scenario.refused(&["-i", "directory"], &["directory"]);
    scenario.refused(&["-o", "missing/out"], &["missing/out", "No such file"]);
    scenario.refused(&["-i", "good", "-o", "directory"], &["directory"]);
    scenario.refused(&["-c", "missing.toml"], &["missing.toml", "No such file"]);
}

#[test]
fn a_file_is_not_read_and_written_in_one_run_whatever_it_is_called() {
    let scenario = Scenario::new();
    let urls = scenario.urls("urls", &["/ok/1"]);
    let before = fs::read_to_string(&urls).unwrap();
    symlink("urls", scenario.path("soft")).unwrap();
    fs::hard_link(&urls, scenario.path("hard")).unwrap();
    for output in ["urls", "./urls", "soft", "hard"] {
        scenario.refused(&["-i", "urls", "-o", output], &["also read as input"]);
    }
    assert_eq!(fs::read_to_string(&urls).unwrap(), before);
}

#[test]
fn a_file_on_stdin_is_not_written_in_the_same_run_either() {
    let scenario = Scenario::new();
    let urls = scenario.urls("urls", &["/ok/1"]);
    let before = fs::read_to_string(&urls).unwrap();
    let read = || fs::File::open(&urls).unwrap();
    let append = || fs::File::options().append(true).open(&urls).unwrap();
    let with_option = Fetchd::with(["-o", "urls"]).directory(scenario.dir.path()).stdin(read());
    let redirected = Fetchd::local().stdin(read()).stdout(append());
    for fetchd in [with_option, redirected] {
        let ended = fetchd.run("");
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("also read as input"), "{}", ended.stderr);
        assert_eq!(scenario.origin.accepts(), 0);
    }
    assert_eq!(fs::read_to_string(&urls).unwrap(), before);
}

#[test]
fn two_sinks_do_not_write_to_one_file_whatever_it_is_called() {
    let scenario = Scenario::new();
    fs::write(scenario.path("out"), "").unwrap();
    fs::hard_link(scenario.path("out"), scenario.path("hard")).unwrap();
    let start = |second: &str| {
        let config = format!("[sink.a.jsonl]\npath = 'out'\n[sink.b.{second}");
        Fetchd::local().config(&config).directory(scenario.dir.path())
    };
    let redirected = fs::File::options().append(true).open(scenario.path("out")).unwrap();
    for fetchd in [start("jsonl]\npath = 'hard'"), start("stdout]").stdout(redirected)] {
        let ended = fetchd.run(scenario.origin.url("/ok/1"));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("the sinks `a` and `b` have the same file"), "{}", ended.stderr);
        assert_eq!(scenario.origin.accepts(), 0);
    }
    assert_eq!(fs::read(scenario.path("out")).unwrap(), b"");
}

#[test]
fn two_sinks_that_meet_at_one_file_by_a_link_that_led_nowhere_are_named() {
    for (first, second) in [
        ("'out'", "'link'"),
        ("'link'", "'out'"),
        ("'link'", "'chain'"),
        ("'to-part'", "'o.jsonl'\nrotate_size = '1MiB'"),
        ("'o.jsonl'\nrotate_size = '1MiB'", "'to-part'"),
        ("'o.jsonl'\ncompress = 'gzip'", "'to-gzip'"),
    ] {
        let scenario = Scenario::new();
        for (link, to) in [
            ("link", "out"),
            ("chain", "link"),
            ("to-part", "o-000001.jsonl.part"),
            ("to-gzip", "o-000001.jsonl.gz.part"),
        ] {
            symlink(to, scenario.path(link)).unwrap();
        }
        let config = format!("[sink.a.jsonl]\npath = {first}\n[sink.b.jsonl]\npath = {second}\n");
        let ended = Fetchd::local().config(&config).directory(scenario.dir.path()).run(scenario.origin.url("/ok/1"));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let said = "the sinks `a` and `b` have the same file; give each its own";
        assert!(ended.stderr.contains(said), "{first} {second}: {}", ended.stderr);
        assert!(!ended.stderr.contains("another process"), "{first} {second}: {}", ended.stderr);
        assert_eq!(scenario.origin.accepts(), 0);
    }
}

#[test]
fn two_sinks_do_not_share_a_pipe() {
    let scenario = Scenario::new();
    let config = "[sink.a.stdout]\n[sink.b.jsonl]\npath = '/dev/stdout'\n";
    let ended = Fetchd::local().config(config).run(scenario.origin.url("/ok/1"));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("the sinks `a` and `b`"), "{}", ended.stderr);
}

#[test]
fn two_sinks_that_are_led_to_one_file_while_they_write_are_named() {
    let scenario = Scenario::new();
    let config = "[sink.a.jsonl]\npath = 'a'\n[sink.b.jsonl]\npath = 'b'\n[sink.seen.stdout]\n";
    let mut fetchd = Fetchd::local().config(config).directory(scenario.dir.path()).start();
    fetchd.line(&scenario.origin.url("/ok/1"));
    fetchd.record();
    fs::remove_file(scenario.path("b")).unwrap();
    symlink("a", scenario.path("b")).unwrap();
    fetchd.line(&scenario.origin.url("/ok/2"));
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for said in ["the sinks `a` and `b` have the same file", "another process, or another sink, is writing"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_second_process_on_the_same_output_exits_with_2_and_leaves_the_first_alone() {
    let scenario = Scenario::new();
    let args = ["-o", "out"];
    let mut first = Fetchd::with(args).directory(scenario.dir.path()).start();
    first.line(&scenario.origin.url("/ok/1"));
    // The output is opened and locked before the first request.
    scenario.origin.wait_for_requests(1);

    let second = Fetchd::with(args).directory(scenario.dir.path()).run(scenario.origin.url("/ok/2"));
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("out: another process is writing to this file"), "{}", second.stderr);

    first.line(&scenario.origin.url("/ok/3"));
    first.stdin = None;
    assert_eq!(first.wait().code, Some(0));
    let seen: Vec<_> = records(&scenario.path("out")).iter().map(|record| record["json"]["n"].clone()).collect();
    assert_eq!((seen.len(), scenario.origin.requests().len()), (2, 2), "{seen:?}");
}

#[test]
fn a_stray_argument_is_answered_with_the_right_command() {
    let scenario = Scenario::new();
    scenario.refused(&["urls.txt"], &["fetchd -i urls.txt"]);
    scenario.refused(&["https://example.com/a"], &["echo 'https://example.com/a' | fetchd"]);
    scenario.refused(&["run"], &["fetchd run [OPTIONS]"]);
    let ended = Fetchd::bare(["run", "urls.txt"]).run("");
    assert!(ended.code == Some(2) && ended.stderr.contains("fetchd -i urls.txt"), "{}", ended.stderr);
}

#[test]
fn wrong_usage_and_a_wrong_configuration_exit_with_2_and_name_every_problem() {
    let scenario = Scenario::new();
    scenario.refused(&["--no-such-flag"], &["--no-such-flag"]);
    scenario.refused(&["--retries", "many"], &["--retries", "many"]);
    fs::write(scenario.path("bad.toml"), "[fetch]\ntimeuot = '3s'\n[limits]\nconcurrency = 0\n").unwrap();
    let problems = ["bad.toml:2:1", "timeuot", "timeout", "bad.toml:4", "limits.concurrency", "2 problems"];
    scenario.refused(&["-c", "bad.toml"], &problems);
    let checked = Fetchd::bare(["check", "-c", "bad.toml"]).directory(scenario.dir.path()).run("");
    assert_eq!(checked.code, Some(2));
    assert!(problems.iter().all(|problem| checked.stderr.contains(problem)), "{}", checked.stderr);
}

#[test]
fn a_compressed_list_is_refused_with_the_pipe_that_reads_it() {
    let scenario = Scenario::new();
    for (begin, tool) in [(&[0x1f, 0x8b, 8, 0][..], "gzip"), (&[0x28, 0xb5, 0x2f, 0xfd], "zstd")] {
        fs::write(scenario.path("list"), begin).unwrap();
        let ended = scenario.run(&["-i", "list"]);
        assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{tool} -dc list | fetchd -i -")), "{}", ended.stderr);
    }
}

#[test]
fn a_product_token_that_robots_txt_files_see_only_a_part_of_is_warned_of() {
    let scenario = Scenario::new();
    for (agent, warned) in [("r1-crawler/1.0", true), ("my-crawler/1.0 (+https://example.com)", false)] {
        let ended = Fetchd::with(["--robots", "-A", agent]).run(scenario.origin.url("/ok/1") + "\n");
        assert_eq!(ended.stderr.contains("robots.txt files are read for `r`"), warned, "{}", ended.stderr);
    }
}

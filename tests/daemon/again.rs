//! `--again`: lines that failed are fetched once more in a round of their own, which every later start finishes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd, kind, seq};
use crate::common::origin::{Origin, Step, send};

/// A directory with lines, and a server that refuses some of them at first.
struct Job {
    dir: TempDir,
    origin: Origin,
}

const STATE: [&str; 2] = ["--data-dir", "state"];
const FILES: [&str; 4] = ["-i", "urls.txt", "-o", "out.jsonl"];
const NOT_OK: [&str; 2] = ["--again", "not_ok"];

fn answer(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} Scripted\r\ncontent-length: 0\r\n\r\n").into()
}

impl Job {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), origin: Origin::start() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.path(name), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    /// A URL that is answered with these statuses, one after the other, and with the last of them from then on.
    fn url(&self, path: &str, statuses: &[u16]) -> String {
        self.origin.play_in_turn(path, statuses.iter().map(|status| vec![send(answer(*status))]))
    }

    /// So many lines that are refused once, and then so many that are not.
    fn lines(&self, refused: usize, good: usize) -> Vec<String> {
        let refused = (1..=refused).map(|n| self.url(&format!("/refused/{n}"), &[401, 200]));
        refused.chain((1..=good).map(|n| self.origin.url(&format!("/ok/{n}")))).collect()
    }

    fn fetchd(&self, args: &[&[&str]]) -> Fetchd {
        Fetchd::with(STATE.iter().chain(args.concat().iter())).directory(self.dir.path())
    }

    fn run(&self, args: &[&[&str]]) -> Ended {
        self.fetchd(args).run("")
    }

    #[track_caller]
    fn goes(&self, args: &[&[&str]]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Nothing is sent, and no list is left.
    #[track_caller]
    fn is_refused(&self, args: &[&[&str]], words: &[&str]) {
        let sent = self.origin.requests().len();
        let ended = self.run(args);
        assert_eq!((ended.code, self.origin.requests().len()), (Some(2), sent), "{}", ended.stderr);
        for word in words {
            assert!(ended.stderr.contains(word), "should say `{word}`:\n{}", ended.stderr);
        }
    }

    fn records(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The outcomes of each line of the output, by round.
    fn rounds(&self) -> BTreeMap<u64, BTreeMap<u64, String>> {
        let mut rounds: BTreeMap<u64, BTreeMap<u64, String>> = BTreeMap::new();
        for record in self.records("out.jsonl") {
            let round = record.get("round").map_or(1, |round| round.as_u64().unwrap());
            let outcome = record["outcome"].as_str().unwrap().to_owned();
            let first = rounds.entry(round).or_default().insert(seq(&record), outcome);
            assert_eq!(first, None, "twice in one round: {record}");
        }
        rounds
    }

    fn newest(&self) -> Vec<Value> {
        Fetchd::bare(["results", "out.jsonl"]).directory(self.dir.path()).run("").records
    }

    fn lists(&self) -> usize {
        fs::read_dir(self.path("state/rounds")).map_or(0, Iterator::count)
    }

    fn status(&self) -> (Value, String) {
        let status = |args: &[&str]| {
            let args = ["state", "status"].iter().chain(&STATE).chain(args);
            let (mut running, stdout) = Fetchd::bare(args).directory(self.dir.path()).start_unread();
            let text = std::io::read_to_string(stdout.unwrap()).unwrap();
            assert_eq!(running.wait().code, Some(0));
            text
        };
        (serde_json::from_str(&status(&["--json"])).unwrap(), status(&[]))
    }
}

#[test]
fn lines_with_a_wrong_token_are_fetched_again_once_it_is_mended() {
    let job = Job::new();
    job.write("urls.txt", &job.lines(40, 20));
    let first = job.goes(&[&FILES]);
    let sentence = "40 lines are not ok (http_status 40); to fetch them once more, run again with --again not_ok";
    assert!(first.stderr.contains(sentence), "{}", first.stderr);
    assert_eq!(job.goes(&[&FILES]).summary()["lines"], 0);

    let again = job.goes(&[&FILES, &NOT_OK]);
    assert_eq!((&again.summary()["lines"], &again.summary()["ok"]), (&json!(40), &json!(40)));
    assert!(!again.stderr.contains("--again"), "{}", again.stderr);
    let rounds = job.rounds();
    let of_round = |round: u64| rounds[&round].keys().copied().collect::<Vec<_>>();
    assert_eq!((of_round(1), of_round(2)), ((1..=60).collect(), (1..=40).collect()));
    let newest = job.newest();
    assert!(newest.iter().all(|record| record["outcome"] == "ok"));
    assert_eq!(newest.iter().map(seq).collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
    let records = job.records("out.jsonl");
    for record in records.iter().filter(|record| record["round"] == 2) {
        let before = records.iter().find(|other| seq(other) == seq(record) && other.get("round").is_none()).unwrap();
        assert!(["input", "file", "state_id", "url"].iter().all(|key| record[key] == before[key]), "{record}");
    }

    let sent = job.origin.requests().len();
    let none = job.goes(&[&FILES, &NOT_OK]);
    assert!(none.stderr.contains("no line to fetch again"), "{}", none.stderr);
    assert_eq!((job.origin.requests().len(), job.lists()), (sent, 0));
}

#[test]
fn a_selection_is_of_outcomes_kinds_and_statuses_and_of_the_newest_record() {
    let job = Job::new();
    let statuses = [&[500, 200][..], &[404, 200], &[401, 401, 200], &[503, 503, 200]];
    let urls: Vec<_> = (1..).zip(statuses).map(|(n, statuses)| job.url(&format!("/{n}"), statuses)).collect();
    let others = ["no url".to_owned(), "x".repeat(2_000_000), job.origin.url("/close")];
    job.write("urls.txt", &[urls, others.to_vec()].concat());
    let one_request = ["--retries", "0"];
    job.goes(&[&FILES, &one_request]);
    let round = |selection: &str| {
        let ended = job.goes(&[&FILES, &one_request, &["--again", selection]]);
        let last = *job.rounds().last_key_value().unwrap().0;
        (last, job.rounds()[&last].keys().copied().collect::<Vec<_>>(), ended.stderr)
    };
    assert_eq!(round("401,5xx").1, [1, 3, 4]);
    assert_eq!(round("5xx").1, [4]);
    assert_eq!(round("invalid_url,404").1, [2, 5]);
    assert_eq!(round("failed").1, [7]);
    let (last, seqs, said) = round("rejected,401");
    assert_eq!((last, seqs), (6, vec![3, 5]));
    assert!(said.contains("1 line left out, whose records do not have the whole `input`"), "{said}");
    let kinds: Vec<_> = job.newest().iter().map(|record| kind(record).to_owned()).collect();
    assert_eq!(&kinds[..6], ["", "", "", "", "invalid_url", "line_too_long"]);
}

#[test]
fn a_line_is_repeated_as_it_was_given() {
    let job = Job::new();
    let line = json!({ "url": job.origin.url("/echo"), "method": "POST", "headers": { "x-a": "b" }, "json": [1, 2.50], "id": [7], "meta": { "k": null } });
    let recorded = json!({ "seq": 9, "outcome": "ok", "input": line });
    let text = format!("POST {}", job.origin.url("/echo"));
    job.write("urls.txt", &[line.to_string(), recorded.to_string(), text]);
    job.goes(&[&FILES]);
    job.goes(&[&FILES, &["--again", "ok,rejected"]]);
    let records = job.records("out.jsonl");
    assert_eq!(records.len(), 6);
    for record in records.iter().filter(|record| record["round"] == 2) {
        let before = records.iter().find(|other| seq(other) == seq(record) && other.get("round").is_none()).unwrap();
        for key in ["input", "id", "meta", "url", "method", "outcome", "json", "error"] {
            assert_eq!(record[key], before[key], "{key}");
        }
    }
}

#[test]
fn a_round_is_finished_by_the_next_start_whatever_it_is_for() {
    let job = Job::new();
    let hangs =
        |n: usize| job.origin.play_in_turn(&format!("/hangs/{n}"), [vec![send(answer(401))], vec![Step::Stall]]);
    let mends = |n: usize| job.origin.play(&format!("/hangs/{n}"), [send(answer(200))]);
    let mut lines: Vec<_> = (1..=3).map(hangs).collect();
    lines.extend(job.lines(3, 2));
    job.write("urls.txt", &lines);
    job.goes(&[&FILES]);
    let running = job.fetchd(&[&FILES, &NOT_OK, &["--max-concurrency", "4"]]).start();
    job.origin.wait_for_requests(8 + 6);
    running.kill();
    let (status, text) = job.status();
    assert_eq!((&status["round"]["number"], &status["round"]["lines"]), (&json!(2), &json!(6)), "{status}");
    assert!(text.contains("round 2 is open: 6 lines of `not_ok`, of which "), "{text}");
    job.is_refused(&[&FILES, &["--again", "401"]], &["round 2 in state is open", "finish it first", "--again not_ok"]);

    (1..=3).for_each(|n| drop(mends(n)));
    job.write("urls.txt", &[lines, vec![job.origin.url("/ok/9"), job.origin.url("/status/404")]].concat());
    let sent = job.origin.requests().len();
    // One line after the other, so that their order is seen.
    let narrow = ["--max-concurrency", "1", "--set", "queue.window=1", "--set", "queue.capacity=1"];
    job.goes(&[&FILES, &narrow]);
    let paths: Vec<_> = job.origin.requests()[sent..].iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(&paths[paths.len() - 2..], ["/ok/9", "/status/404"], "the round comes first: {paths:?}");
    let rounds = job.rounds();
    assert_eq!(rounds[&1].keys().copied().collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!(rounds[&2].keys().copied().collect::<Vec<_>>(), (1..=6).collect::<Vec<_>>());
    assert_eq!((job.lists(), job.status().0.get("round")), (0, None));
    job.goes(&[&FILES, &NOT_OK]);
    assert_eq!(job.rounds()[&3].keys().copied().collect::<Vec<_>>(), [10]);
}

#[test]
fn a_stop_leaves_the_rest_of_a_round_and_the_same_selection_goes_on_with_it() {
    let job = Job::new();
    job.write("urls.txt", &job.lines(30, 0));
    job.goes(&[&FILES]);
    let slow = ["--host-rate", "5/s"];
    let mut running = job.fetchd(&[&FILES, &NOT_OK, &slow]).start();
    job.origin.wait_for_requests(32);
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert!(ended.code == Some(0) && ended.stderr.contains("of round 2"), "{}", ended.stderr);
    assert!(job.lists() == 1 && job.rounds()[&2].len() < 30);
    let next = job.goes(&[&FILES, &NOT_OK]);
    assert!(next.stderr.contains("round 2 goes on: of 30 lines of `not_ok`, "), "{}", next.stderr);
    assert_eq!((job.rounds()[&2].len(), job.origin.requests().len()), (30, 60));
}

#[test]
fn a_round_needs_a_memory_a_selection_and_every_record() {
    let job = Job::new();
    job.write("urls.txt", &job.lines(2, 1));
    let config = |sinks: &str| {
        let path = job.path("fetchd.toml");
        fs::write(&path, sinks).unwrap();
        path.display().to_string()
    };
    let two = config(
        "[sink.a.jsonl]\npath = 'ok.jsonl'\nrecords = 'ok'\n[sink.b.jsonl]\npath = 'bad.jsonl'\nrecords = 'not_ok'\n",
    );
    job.goes(&[&["-c", &two, "-i", "urls.txt"]]);
    let bare = Fetchd::bare(["-i", "urls.txt", "--again", "not_ok"]).directory(job.dir.path()).run("");
    assert!(bare.code == Some(2) && bare.stderr.contains("add --data-dir DIR"), "{}", bare.stderr);
    job.is_refused(&[&FILES, &["--again", "not_okay"]], &["did you mean `not_ok`", "`401`, `5xx`", "timeout,401,5xx"]);
    for flag in [&["--partial"][..], &["--from", "x"]] {
        job.is_refused(&[&FILES, flag], &["--again <WHAT>"]);
    }
    for sinks in ["[sink.b.jsonl]\npath = 'bad.jsonl'\nrecords = 'not_ok'\n", "[sink.a.stdout]\n"] {
        let one = config(sinks);
        job.is_refused(&[&["-c", &one, "-i", "urls.txt"], &NOT_OK], &["do not take every record", "records = "]);
    }
    let two = config(
        "[sink.a.jsonl]\npath = 'ok.jsonl'\nrecords = 'ok'\n[sink.b.jsonl]\npath = 'bad.jsonl'\nrecords = 'not_ok'\n",
    );
    job.goes(&[&["-c", &two, "-i", "urls.txt"], &NOT_OK]);
    assert_eq!((job.records("ok.jsonl").len(), job.records("bad.jsonl").len()), (3, 2));
}

#[test]
fn lines_whose_records_are_elsewhere_are_counted_and_found_or_left_out() {
    let job = Job::new();
    job.write("urls.txt", &job.lines(3, 2));
    job.write("more.txt", &[job.url("/more", &[500, 200])]);
    let both = ["-i", "urls.txt", "-i", "more.txt", "-o", "out.jsonl", "--retries", "0"];
    job.goes(&[&both]);
    let text = fs::read(job.path("out.jsonl")).unwrap();
    fs::write(job.path("kept"), zstd::encode_all(text.as_slice(), 0).unwrap()).unwrap();
    fs::remove_file(job.path("out.jsonl")).unwrap();
    let words = ["5 lines of urls.txt", "1 line of more.txt", "no readable record", "--from FILE", "--partial"];
    job.is_refused(&[&both, &NOT_OK], &words);
    assert_eq!(job.lists(), 0);
    job.is_refused(&[&both, &NOT_OK, &["--from", "gone"]], &["gone: No such file"]);
    let partial = job.goes(&[&both, &NOT_OK, &["--partial"]]);
    assert!(partial.stderr.contains("left out") && partial.stderr.contains("no line to fetch again"));
    let found = job.goes(&[&both, &NOT_OK, &["--from", "kept"]]);
    assert_eq!((&found.summary()["lines"], job.records("out.jsonl").len()), (&json!(4), 4), "{}", found.stderr);
    // Only those of the round are in the output now.
    job.is_refused(&[&both, &NOT_OK], &["2 lines of urls.txt"]);
}

#[test]
fn records_of_other_states_and_other_programs_do_not_count() {
    let job = Job::new();
    job.write("urls.txt", &job.lines(2, 1));
    let other = json!({ "seq": 1, "file": "urls.txt", "state_id": "other", "round": 7, "outcome": "ok", "input": "x" });
    fs::write(job.path("out.jsonl"), format!("{other}\n{{\"seq\":1}}\n")).unwrap();
    job.goes(&[&FILES]);
    let again = job.goes(&[&FILES, &NOT_OK]);
    assert_eq!(again.summary()["lines"], 2, "{}", again.stderr);
}

#[test]
fn a_run_with_again_reads_no_standard_input_and_repeats_lines_of_a_journal() {
    let job = Job::new();
    let config = "source.urls.stdin.durable = true\n[sink.out.jsonl]\npath = 'out.jsonl'\n";
    let run = |args: &[&str], input: &str| {
        let ended = job.fetchd(&[args]).config(config).run(input);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    };
    run(&[], &(job.lines(3, 2).join("\n") + "\n"));
    let again = run(&NOT_OK, &job.origin.url("/ok/never"));
    assert_eq!(again.summary()["lines"], 3, "{}", again.stderr);
    assert_eq!(job.origin.requests_for("/ok/never"), 0);
    assert_eq!((job.rounds()[&1].len(), job.rounds()[&2].len()), (5, 3));
    assert!(job.records("out.jsonl").iter().all(|record| record["source"] == "urls"));
    // The sources of before need not be named.
    let file = Job::new();
    file.write("urls.txt", &file.lines(2, 0));
    file.goes(&[&FILES]);
    assert_eq!(file.goes(&[&["-o", "out.jsonl"], &NOT_OK]).summary()["lines"], 2);
}

#[test]
fn lines_that_are_new_in_a_file_run_beside_the_round() {
    let job = Job::new();
    let lines = job.lines(2, 1);
    job.write("urls.txt", &lines);
    job.goes(&[&FILES]);
    job.write("urls.txt", &[lines, vec![job.origin.url("/ok/7")]].concat());
    let again = job.goes(&[&FILES, &NOT_OK]);
    assert_eq!(again.summary()["lines"], 3, "{}", again.stderr);
    let rounds = job.rounds();
    assert_eq!((rounds[&1].len(), rounds[&2].len()), (4, 2));
}

#[test]
fn credentials_of_the_command_line_go_where_they_went_in_the_first_round() {
    let job = Job::new();
    let other = Origin::start_at([127, 0, 0, 2]);
    let urls =
        [job.url("/a", &[401, 200]), other.play_in_turn("/b", [401, 200].map(|status| vec![send(answer(status))]))];
    job.write("urls.txt", &urls);
    let token = |value: &str| ["-H".to_owned(), format!("authorization: {value}")];
    let run = |args: &[&[&str]], value: &str| {
        let header = token(value);
        let header: Vec<_> = header.iter().map(String::as_str).collect();
        job.goes(&[args.concat().as_slice(), &header])
    };
    run(&[&FILES], "wrong");
    run(&[&FILES, &NOT_OK], "right");
    let sent = |origin: &Origin| -> Vec<_> {
        origin.requests().iter().map(|request| request.header("authorization").map(str::to_owned)).collect()
    };
    assert_eq!(sent(&job.origin), [Some("wrong".to_owned()), Some("right".to_owned())]);
    assert_eq!(sent(&other), [None, None]);
    // Without the input nobody knows whose they are.
    fs::write(job.path("out.jsonl"), fs::read_to_string(job.path("out.jsonl")).unwrap()).unwrap();
    let blind = run(&[&["-o", "out.jsonl"], &["--again", "ok"]], "third");
    assert!(blind.stderr.contains("credentials of -H"), "{}", blind.stderr);
    assert!(sent(&job.origin)[2].is_none() && sent(&other)[2].is_none());
}

#[test]
fn the_sentence_at_the_end_tells_the_failures_of_this_run_from_those_that_a_round_takes() {
    let job = Job::new();
    job.write("urls.txt", &job.lines(3, 1));
    job.goes(&[&FILES]);
    job.write("urls.txt", &[job.lines(3, 1), job.lines(2, 0)].concat());
    let ended = job.goes(&[&FILES]);
    let sentence = "2 lines are not ok in this run (http_status 2); to fetch them once more, with those of earlier runs, run again with --again not_ok; those that may succeed now: --again 401";
    assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
    assert_eq!(job.goes(&[&FILES, &NOT_OK]).summary()["lines"], 5);
    job.write("urls.txt", &[job.lines(3, 1), job.lines(2, 0), job.lines(0, 1)].concat());
    let ended = job.goes(&[&FILES]);
    let sentence =
        "lines that were not ok in earlier runs keep their records; if there are any, --again not_ok fetches them";
    assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
    let ended = job.goes(&[&FILES]);
    assert!(!ended.stderr.contains(sentence) && ended.summary()["lines"] == 0, "{}", ended.stderr);
}

#[test]
fn the_sentence_at_the_end_counts_kinds_and_says_when_nothing_can_repeat_them() {
    let job = Job::new();
    let lines = [vec![job.origin.url("/close"), "no url".to_owned()], job.lines(2, 1)].concat();
    job.write("urls.txt", &lines);
    let ended = job.run(&[&["-i", "urls.txt", "--retries", "0"]]);
    let sentence = "4 lines are not ok (http_status 2 · ";
    assert!(ended.stderr.contains(sentence) && ended.stderr.contains("took every record"), "{}", ended.stderr);
    let unremembered = Fetchd::with(["-i", "urls.txt"]).directory(job.dir.path()).run("");
    assert!(!unremembered.stderr.contains("--again"), "{}", unremembered.stderr);
    let one = Job::new();
    one.write("urls.txt", &one.lines(1, 1));
    let sentence = "1 line is not ok (http_status 1); to fetch it once more, run again with --again not_ok";
    assert!(one.goes(&[&FILES]).stderr.contains(sentence));
    let good = Job::new();
    good.write("urls.txt", &good.lines(0, 3));
    assert!(!good.goes(&[&FILES]).stderr.contains("--again"));
}

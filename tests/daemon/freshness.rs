//! `fetch.revalidate`: the records of one day are the input of the next, and what did not change is not sent again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd, kind};
use crate::common::origin::{Origin, Step, send};

/// A directory with the records of days, and the server that they are of.
struct Days {
    dir: TempDir,
    origin: Origin,
}

/// The records of a day, by their lines.
type Records = BTreeMap<String, Value>;

const REVALIDATE: &str = "--revalidate";

impl Days {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), origin: Origin::start() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.path(name), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    fn page(&self, kind: &str, n: usize) -> String {
        self.origin.url(&format!("/versions/{kind}/{n}"))
    }

    fn fetchd(&self, args: &[&str]) -> Fetchd {
        Fetchd::with(args).directory(self.dir.path())
    }

    #[track_caller]
    fn goes(&self, args: &[&str]) -> Ended {
        let ended = self.fetchd(args).run("");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    fn records(&self, name: &str) -> Records {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let record = |line: &str| serde_json::from_str(line).map(|record: Value| (record["input"].to_string(), record));
        text.lines().map(|line| record(line).unwrap()).collect()
    }

    /// The validators of each request since the first so many.
    fn validators_since(&self, requests: usize) -> Vec<(String, Option<String>, Option<String>)> {
        let all = self.origin.requests().into_iter().skip(requests).map(|request| {
            let value = |name| request.header(name).map(str::to_owned);
            (request.target.clone(), value("if-none-match"), value("if-modified-since"))
        });
        all.collect()
    }
}

/// The body of each line, or that of the day before where it did not change.
fn union(day: &Records, before: &Records) -> BTreeMap<String, Value> {
    let body = |(line, record): (&String, &Value)| {
        let body = record.get("body").or_else(|| before[line].get("body").filter(|_| record["unchanged"] == true));
        (line.clone(), body.cloned().unwrap_or_default())
    };
    day.iter().map(body).collect()
}

fn bodies(day: &Records) -> BTreeMap<String, Value> {
    day.iter().map(|(line, record)| (line.clone(), record["body"].clone())).collect()
}

#[test]
fn the_records_of_one_day_are_the_input_of_the_next_and_only_changes_are_sent() {
    let days = Days::new();
    let pages = ["etag", "weak", "date", "none"].map(|kind| [0, 1].map(|n| days.page(kind, n))).concat();
    let moved = days.origin.redirect(301, &days.page("etag", 2));
    let object = json!({ "url": days.page("date", 2), "id": 7, "headers": { "x-run": "1" } }).to_string();
    days.write("urls.txt", &[pages.as_slice(), &[moved.clone(), object]].concat());
    days.goes(&["-i", "urls.txt", "-o", "day1.jsonl"]);
    let first = days.records("day1.jsonl");
    assert_eq!(first[&json!(pages[0]).to_string()]["etag"], "\"v0\"");
    assert_eq!(first[&json!(pages[4]).to_string()]["last_modified"], "Tue, 13 May 2014 16:53:20 GMT");

    for kind in ["etag", "weak", "date", "none"] {
        days.origin.change(&format!("/versions/{kind}/1"));
    }
    let ended = days.goes(&[REVALIDATE, "-i", "day1.jsonl", "-o", "day2.jsonl"]);
    assert_eq!(ended.summary()["unchanged"], 5);
    let second = days.records("day2.jsonl");
    days.goes(&["-i", "urls.txt", "-o", "whole.jsonl"]);
    assert_eq!(union(&second, &first), bodies(&days.records("whole.jsonl")));
    let unchanged = second.values().filter(|record| record["unchanged"] == true);
    for record in unchanged {
        assert_eq!((&record["outcome"], &record["status"]), (&json!("ok"), &json!(304)), "{record:#}");
        assert!(["body", "bytes", "error"].iter().all(|key| record.get(key).is_none()), "{record:#}");
    }
    let moved = &second[&json!(moved).to_string()];
    assert_eq!((&moved["unchanged"], &moved["final_url"]), (&json!(true), &json!(days.page("etag", 2))), "{moved:#}");

    // The validators are in the records of the second day, too, though a 304 may not say them again.
    let ended = days.goes(&[REVALIDATE, "-i", "day2.jsonl", "-o", "day3.jsonl", "--log-format", "text"]);
    assert!(ended.stderr.contains("ok 10 (8 unchanged)"), "{}", ended.stderr);
    let third = days.records("day3.jsonl");
    let sent: Vec<_> = third.values().filter(|record| record["status"] == 200).map(|record| &record["url"]).collect();
    assert_eq!(sent, [&json!(pages[6]), &json!(pages[7])], "only pages without validators");
}

#[test]
fn without_validators_the_digest_says_what_changed_whatever_output_digest_says_later() {
    let days = Days::new();
    days.write("urls.txt", &[days.page("none", 0), days.page("none", 1)]);
    days.goes(&["--set", "output.digest=true", "-i", "urls.txt", "-o", "day1.jsonl"]);
    let first = days.records("day1.jsonl");
    days.origin.change("/versions/none/1");
    days.goes(&[REVALIDATE, "-i", "day1.jsonl", "-o", "day2.jsonl", "--body", "none"]);
    let second = days.records("day2.jsonl");
    let [same, changed] = [0, 1].map(|n| json!(days.page("none", n)).to_string());
    assert_eq!((&second[&same]["unchanged"], &second[&same]["status"]), (&json!(true), &json!(200)));
    assert_eq!(second[&same]["sha256"], first[&same]["sha256"]);
    assert!(second[&changed].get("unchanged").is_none(), "{:#}", second[&changed]);
    assert_ne!(second[&changed]["sha256"], first[&changed]["sha256"]);
    days.goes(&[REVALIDATE, "-i", "day2.jsonl", "-o", "day3.jsonl"]);
    assert!(days.records("day3.jsonl").values().all(|record| record["unchanged"] == true));
}

#[test]
fn a_digest_is_kept_over_days_without_a_body() {
    let days = Days::new();
    days.write("urls.txt", &[days.page("etag", 0)]);
    days.goes(&["--set", "output.digest=true", "-i", "urls.txt", "-o", "day1.jsonl"]);
    days.goes(&[REVALIDATE, "-i", "day1.jsonl", "-o", "day2.jsonl"]);
    let line = json!(days.page("etag", 0)).to_string();
    let [first, second] = ["day1.jsonl", "day2.jsonl"].map(|day| days.records(day)[&line].clone());
    assert_eq!((&second["status"], &second["sha256"]), (&json!(304), &first["sha256"]), "{second:#}");
}

#[test]
fn a_record_is_fetched_whole_unless_the_configuration_says_otherwise() {
    let days = Days::new();
    days.write("urls.txt", &[days.page("etag", 0)]);
    days.goes(&["-i", "urls.txt", "-o", "day1.jsonl"]);
    days.goes(&["-i", "day1.jsonl", "-o", "day2.jsonl"]);
    assert_eq!(days.records("day2.jsonl")[&json!(days.page("etag", 0)).to_string()]["status"], 200);
    let ended = days.fetchd(&["-i", "day1.jsonl"]).config("fetch.revalidate = true").run("");
    assert_eq!(ended.only_record()["status"], 304);
    let validators: Vec<_> = days.validators_since(0).into_iter().map(|(_, etag, date)| (etag, date)).collect();
    assert_eq!(validators, [(None, None), (None, None), (Some("\"v0\"".to_owned()), None)]);
}

#[test]
fn validators_go_to_the_url_that_sent_them_and_to_no_other_of_a_redirect() {
    let days = Days::new();
    let elsewhere = Origin::start_at([127, 0, 0, 2]);
    let (old, new) = (elsewhere.url("/versions/etag/0"), days.page("etag", 1));
    let hop = |to: &str| vec![send(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"))];
    let first = days.origin.play_in_turn("/moves", [hop(&old), hop(&old), hop(&new)]);
    days.write("urls.txt", std::slice::from_ref(&first));
    days.goes(&["-i", "urls.txt", "-o", "day1.jsonl"]);
    days.goes(&[REVALIDATE, "-i", "day1.jsonl", "-o", "day2.jsonl"]);
    days.goes(&[REVALIDATE, "-i", "day2.jsonl", "-o", "day3.jsonl"]);
    let line = json!(first).to_string();
    let [second, third] = ["day2.jsonl", "day3.jsonl"].map(|day| days.records(day)[&line].clone());
    assert_eq!((&second["status"], &second["final_url"]), (&json!(304), &json!(old)), "{second:#}");
    assert_eq!((&third["status"], &third["final_url"]), (&json!(200), &json!(new)), "{third:#}");
    let theirs: Vec<_> =
        elsewhere.requests().iter().map(|request| request.header("if-none-match").map(str::to_owned)).collect();
    assert_eq!(theirs, [None, Some("\"v0\"".to_owned())]);
    assert!(days.validators_since(0).iter().all(|(_, etag, date)| etag.is_none() && date.is_none()));
}

#[test]
fn what_failed_yesterday_is_fetched_whole_today() {
    let days = Days::new();
    let cut = "HTTP/1.1 200 OK\r\netag: \"v0\"\r\ncontent-length: 9\r\n\r\ncut";
    let whole = "HTTP/1.1 200 OK\r\netag: \"v0\"\r\ncontent-length: 5\r\n\r\nwhole";
    let cut = days.origin.play_in_turn("/cut", [vec![send(cut), Step::Close], vec![send(whole)]]);
    let gone = "HTTP/1.1 404 Not Found\r\netag: \"none\"\r\ncontent-length: 4\r\n\r\ngone";
    let gone = days.origin.play_in_turn("/gone", [vec![send(gone)], vec![send(whole)]]);
    days.write("urls.txt", &[cut, gone]);
    days.goes(&["--retries", "0", "-i", "urls.txt", "-o", "day1.jsonl"]);
    let first = days.records("day1.jsonl");
    assert!(first.values().all(|record| record["outcome"] != "ok" && record.get("etag").is_some()), "{first:#?}");
    days.goes(&[REVALIDATE, "-i", "day1.jsonl", "-o", "day2.jsonl"]);
    let second = days.records("day2.jsonl");
    assert!(second.values().all(|record| record["outcome"] == "ok" && record["body"] == "whole"), "{second:#?}");
    assert!(days.validators_since(0).iter().all(|(_, etag, _)| etag.is_none()));
}

#[test]
fn the_newest_records_of_a_run_with_rounds_are_a_day_and_the_next_one_goes_on_after_a_stop() {
    let days = Days::new();
    let refused = |path: &str| {
        let status =
            |status: &str| send(format!("HTTP/1.1 {status} Scripted\r\netag: \"r\"\r\ncontent-length: 2\r\n\r\nhi"));
        days.origin
            .play_in_turn(path, [vec![status("401")], vec![status("200")], vec![Step::Stall], vec![status("304")]])
    };
    days.write("urls.txt", &[days.page("etag", 0), refused("/refused"), days.page("date", 0)]);
    let first = ["-i", "urls.txt", "-o", "all.jsonl", "--data-dir", "state1"];
    days.goes(&first);
    days.goes(&[&first[..], &["--again", "not_ok"]].concat());
    let newest = Fetchd::bare(["results", "all.jsonl"]).directory(days.dir.path()).run("");
    days.write("day1.jsonl", &newest.records.iter().map(Value::to_string).collect::<Vec<_>>());
    assert_eq!(newest.count("ok"), 3, "{newest:#?}");

    let sent = days.origin.requests().len();
    let second = [REVALIDATE, "-i", "day1.jsonl", "-o", "day2.jsonl", "--data-dir", "state2"];
    let mut running = days.fetchd(&second).start();
    days.origin.wait_for_requests(sent + 3);
    running.signal(Signal::SIGTERM);
    running.message("finishing ");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, Some(130));
    days.goes(&second);
    let records = days.records("day2.jsonl");
    assert!(records.len() == 3 && records.values().all(|record| record["unchanged"] == true), "{records:#?}");
    let bare = |(_, etag, date): &(String, Option<String>, Option<String>)| etag.is_none() && date.is_none();
    assert!(!days.validators_since(sent).iter().any(bare), "{:?}", days.validators_since(sent));
}

#[test]
fn a_line_of_a_round_is_fetched_whole() {
    let days = Days::new();
    let status = |status: u16| {
        vec![send(format!("HTTP/1.1 {status} Scripted\r\netag: \"v\"\r\ncontent-length: 5\r\n\r\nwhole"))]
    };
    let page = days.origin.play_in_turn("/page", [status(200), status(500), status(200)]);
    days.write("urls.txt", &[page]);
    days.goes(&["-i", "urls.txt", "-o", "day1.jsonl"]);
    let second = [REVALIDATE, "--retries", "0", "-i", "day1.jsonl", "-o", "day2.jsonl", "--data-dir", "state"];
    days.goes(&second);
    days.goes(&[&second[..], &["--again", "not_ok"]].concat());
    let etags: Vec<_> = days.validators_since(0).into_iter().map(|(_, etag, _)| etag.is_some()).collect();
    assert_eq!(etags, [false, true, false]);
    assert_eq!(days.records("day2.jsonl").values().next().unwrap()["body"], "whole");
}

#[test]
fn a_durable_standard_input_takes_records_too() {
    let days = Days::new();
    let day1 = days.fetchd(&[]).run(format!("{}\n{}\n", days.page("etag", 0), days.page("none", 0)));
    let lines: String = day1.records.iter().map(|record| format!("{record}\n")).collect();
    let config =
        "[source.in.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\n[sink.out.jsonl]\npath = 'day2.jsonl'\n";
    let ended = days.fetchd(&[REVALIDATE]).config(config).run(lines);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records = days.records("day2.jsonl");
    assert_eq!(records[&json!(days.page("etag", 0)).to_string()]["unchanged"], true, "{records:#?}");
    assert_eq!(records[&json!(days.page("none", 0)).to_string()]["status"], 200);
}

#[test]
fn credentials_and_conditions_of_the_command_line_go_as_before_and_those_of_the_record_win() {
    let days = Days::new();
    days.write("urls.txt", &[days.page("etag", 0), days.page("none", 0)]);
    days.goes(&["-i", "urls.txt", "-o", "day1.jsonl"]);
    let sent = days.origin.requests().len();
    days.goes(&[REVALIDATE, "-H", "if-none-match: \"mine\"", "-H", "x-run: 2", "-i", "day1.jsonl", "-o", "day2.jsonl"]);
    let mut etags: Vec<_> =
        days.validators_since(sent).into_iter().map(|(target, etag, _)| (target, etag.unwrap())).collect();
    etags.sort();
    let expected = [("/versions/etag/0", "\"v0\""), ("/versions/none/0", "\"mine\"")];
    assert_eq!(etags, expected.map(|(target, etag)| (target.to_owned(), etag.to_owned())));
    assert!(days.origin.requests()[sent..].iter().all(|request| request.header("x-run") == Some("2")));
}

#[test]
fn a_304_that_nobody_asked_for_is_no_good_answer() {
    let days = Days::new();
    let url = days.origin.script("/odd", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n");
    let record = json!({ "seq": 1, "input": url, "url": url, "outcome": "ok", "status": 200, "body": "x" }).to_string();
    let own = json!({ "url": url, "headers": { "If-None-Match": "\"x\"" } }).to_string();
    let ended = days.fetchd(&[REVALIDATE]).run(format!("{url}\n{record}\n{own}\n"));
    assert_eq!((ended.code, ended.count("http_error")), (Some(0), 3), "{ended:#?}");
    for record in &ended.records {
        assert_eq!((&record["status"], kind(record)), (&json!(304), "http_status"), "{record:#}");
        assert!(record.get("unchanged").is_none(), "{record:#}");
    }
}

#[test]
fn a_run_none_of_whose_lines_can_be_revalidated_says_so() {
    const SENTENCE: &str = "no line was a fetchd record with validators or a digest, so all were fetched whole";
    let days = Days::new();
    days.write("urls", &[days.page("etag", 1), days.page("etag", 2)]);
    days.goes(&["-i", "urls", "-o", "day1"]);
    for (args, is_said) in [
        (&[REVALIDATE, "-i", "urls"][..], true),
        (&[REVALIDATE, "-i", "day1"], false),
        (&[REVALIDATE, "-i", "urls", "-i", "day1"], false),
        (&["-i", "urls"], false),
    ] {
        let ended = days.goes(args);
        assert_eq!(ended.stderr.contains(SENTENCE), is_said, "{args:?}: {}", ended.stderr);
    }
    assert!(!days.goes(&[REVALIDATE]).stderr.contains(SENTENCE), "there was no line at all");
}

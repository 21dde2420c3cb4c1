//! A record is one line for every reader, also for those that take more than LF for its end, wherever the text comes from.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::fetchd::Fetchd;
use crate::common::origin::{Origin, ok_with};

/// All that Python's `str.splitlines` splits at, and U+FEFF, U+00A0 and U+20AC, which it does not.
const BREAKS: &str = "a\u{b}b\u{c}c\u{1c}d\u{1d}e\u{1e}f\u{85}g\u{2028}h\u{2029}i\rj\nk\u{feff}\u{a0}\u{20ac}";

/// The same without what no URL or header can have.
const PRINTABLE: &str = "g\u{85}h\u{2028}i\u{2029}j";

/// The lines that Python sees; absent where there is no Python.
fn lines_for_python(text: &str) -> Option<usize> {
    let count = "import sys; print(len(sys.stdin.buffer.read().decode('utf-8').splitlines()))";
    let mut python =
        Command::new("python3").args(["-c", count]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
}

/// Runs it on these lines; the records come back, and have been looked at as text.
fn records(lines: &[String], config: &str) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let config =
        format!("output.headers = true\nretry.retries = 0\n{config}[sink.a.jsonl]\npath = '{}'\n", path.display());
    let ended = Fetchd::with(["--ordered"]).config(&config).run(lines.join("\n"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\r']));
    assert!(lines_for_python(&text).is_none_or(|seen| seen == lines.len()), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bodies_of_every_kind_are_one_line_and_the_same_text() {
    let origin = Origin::start();
    // As some servers write it: JSON with these characters as they are.
    let raw = serde_json::to_string(&json!({ BREAKS: [BREAKS] })).unwrap();
    assert!(raw.contains('\u{2028}'));
    let lines = [
        origin.script("/text", ok_with("content-type: text/plain\r\n", BREAKS.as_bytes())),
        origin.script("/json", ok_with("content-type: application/json\r\n", raw.as_bytes())),
        origin.script("/wrong", ok_with("content-type: application/json\r\n", BREAKS.as_bytes())),
    ];
    let records = records(&lines, "");
    assert_eq!((&records[0]["body"], &records[2]["body"]), (&json!(BREAKS), &json!(BREAKS)));
    assert_eq!(records[1]["json"], json!({ BREAKS: [BREAKS] }));
}

#[test]
fn headers_of_an_answer_are_one_line() {
    let origin = Origin::start();
    let headers = format!("content-type: text/{PRINTABLE}\r\nx-odd: {PRINTABLE}\r\n");
    let records = records(&[origin.script("/", ok_with(&headers, b"x"))], "");
    assert_eq!(records[0]["headers"]["x-odd"], PRINTABLE, "{records:#?}");
}

#[test]
fn what_a_record_repeats_of_its_line_is_one_line_and_is_the_line_again() {
    let origin = Origin::start();
    // U+0085 is a control character, which no URL may have.
    let url = origin.url("/ok/1?q=h\u{2028}i\u{2029}j");
    let object = json!({ "url": url, "id": PRINTABLE, "meta": { PRINTABLE: [PRINTABLE] } });
    let lines = [url.clone(), object.to_string(), format!("no url {PRINTABLE}"), format!("{{\"{PRINTABLE}\": 1}}")];
    let first = records(&lines, "");
    assert_eq!((&first[0]["input"], &first[1]["input"]), (&json!(url), &object));
    assert_eq!((&first[1]["id"], &first[1]["meta"]), (&object["id"], &object["meta"]));
    let outcomes = |records: &[Value]| records.iter().map(|record| record["outcome"].clone()).collect::<Vec<_>>();
    assert_eq!(outcomes(&first), ["ok", "ok", "rejected", "rejected"]);
    // The records of one run are the input of the next.
    let again: Vec<_> = first.iter().map(Value::to_string).collect();
    let second = records(&again, "");
    assert_eq!(outcomes(&second), outcomes(&first));
    for (one, other) in first.iter().zip(&second) {
        assert_eq!((&one["input"], &one["id"]), (&other["input"], &other["id"]));
    }
}

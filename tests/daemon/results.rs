//! `fetchd results`: the newest record of each line, out of record files of any form.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd};

/// A record of a line, as a run writes it that remembers lines.
fn record(file: &str, seq: u64, round: u32, body: &str) -> Value {
    let mut record = json!({ "seq": seq, "file": file, "state_id": "s", "id": seq % 3, "input": "x", "outcome": "ok", "body": body });
    if round > 0 {
        record["round"] = round.into();
    }
    record
}

fn text(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

fn dir(files: &[(&str, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn results(dir: &Path, args: &[&str]) -> Ended {
    Fetchd::bare(["results"].iter().chain(args)).directory(dir).run("")
}

#[track_caller]
fn is_refused(ended: &Ended, words: &[&str]) {
    assert_eq!((ended.code, ended.records.len()), (Some(2), 0), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "should say `{word}`:\n{}", ended.stderr);
    }
}

#[test]
fn the_newest_record_of_each_line_comes_in_order_whatever_the_form_of_the_files() {
    let first = [record("b", 10, 0, "old"), record("b", 2, 3, "new"), record("a", 1, 0, "only")];
    let second = [record("b", 2, 2, "older"), record("b", 10, 2, "new")];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, text(&second).as_bytes()).unwrap();
    let torn = [text(&first).into_bytes(), b"{\"seq\":3,\"outc".to_vec()].concat();
    let zstd = zstd::encode_all(text(&first).as_bytes(), 0).unwrap();
    let dir = dir(&[("1.part", torn), ("2", gzip.finish().unwrap()), ("3", zstd)]);
    for files in [&["1.part", "2"][..], &["2", "1.part"], &["3", "2", "3"]] {
        let ended = results(dir.path(), files);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.records, [record("a", 1, 0, "only"), record("b", 2, 3, "new"), record("b", 10, 2, "new")]);
        assert_eq!(ended.stderr.contains("the end of 1.part is torn"), files.contains(&"1.part"), "{}", ended.stderr);
    }
}

#[test]
fn records_are_shown_as_they_stand_and_other_lines_are_counted() {
    let odd = "{\"outcome\":\"ok\", \"seq\":1e0,\"state_id\":\"s\",\"seq\":7}\n{\"outcome\" : \"ok\",\"state_id\":\"s\",  \"seq\":7,\"body\":1.50}\n";
    let dir = dir(&[("a", odd.into())]);
    let (mut running, stdout) = Fetchd::bare(["results", "a"]).directory(dir.path()).start_unread();
    let text = std::io::read_to_string(stdout.unwrap()).unwrap();
    assert_eq!(text, odd.lines().nth(1).unwrap().to_owned() + "\n");
    let ended = running.wait();
    assert!(ended.code == Some(0) && ended.stderr.contains("1 line of a left out"), "{}", ended.stderr);
}

#[test]
fn records_that_no_state_numbers_need_their_ids() {
    let without = |n: u64, id: Value, body: &str| {
        let mut record = record("a", n, 0, body);
        record.as_object_mut().unwrap().remove("state_id");
        record["id"] = id;
        record
    };
    let old = [without(1, json!(10), "old"), without(2, json!(9), "9"), without(3, json!("x"), "x")];
    let new = [without(1, json!("10"), "text"), without(2, json!(10), "new")];
    let dir = dir(&[("old", text(&old).into()), ("new", text(&new).into())]);
    is_refused(&results(dir.path(), &["old"]), &["line 1 of old has no `state_id`", "fetchd results --by id FILE"]);
    let bodies = |ended: Ended| -> Vec<String> {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.records.iter().map(|record| record["body"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(bodies(results(dir.path(), &["--by", "id", "old", "new"])), ["9", "new", "text", "x"]);
    assert_eq!(bodies(results(dir.path(), &["--by", "id", "new", "old"])), ["9", "old", "text", "x"]);
    let none = json!({ "seq": 1, "outcome": "ok" });
    fs::write(dir.path().join("none"), text(&[none])).unwrap();
    is_refused(&results(dir.path(), &["--by", "id", "old", "none"]), &["line 1 of none has no `id`"]);
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_printed() {
    let dir = dir(&[("ok", text(&[record("a", 1, 0, "")]).into()), ("urls.txt", b"http://a/\nhttp://b/\n".to_vec())]);
    is_refused(&results(dir.path(), &["ok", "gone"]), &["gone: No such file"]);
    is_refused(&results(dir.path(), &["ok", "urls.txt"]), &["line 1 of urls.txt is no JSON object"]);
    is_refused(&results(dir.path(), &[]), &["<FILE>..."]);
}

#[test]
fn standard_input_is_a_file_and_a_closed_pipe_ends_it_quietly() {
    let many: Vec<_> = (1..=50_000).map(|n| record("a", n, 0, "some text")).collect();
    let dir = dir(&[("many", text(&many).into())]);
    let ended = Fetchd::bare(["results", "-"]).run(text(&many[..3]));
    assert_eq!((ended.code, ended.records.len()), (Some(0), 3), "{}", ended.stderr);
    let mut child = Command::new(env!("CARGO_BIN_EXE_fetchd"))
        .args(["results", "many"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::with_capacity(100, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

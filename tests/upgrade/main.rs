//! A start on what 0.1.0 left by `kill -9`: every line has its one record over both versions, and the checkpoint is of the
//! present one afterwards. `tests/fixtures/0.1.0/README.md` says how the directories came to be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![expect(clippy::expect_used, reason = "likewise")]
#![expect(clippy::panic, reason = "likewise")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "every test binary uses its own part of it")]
mod common;
#[path = "../kills/outputs.rs"]
#[expect(dead_code, reason = "the forms are those of the kills")]
mod outputs;

mod left_behind;

use std::collections::BTreeSet;

use common::fetchd::seq;
use common::origin::Origin;
use left_behind::{LINES, LeftBehind, number_in_url, settled};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Lets the present version go on, and compares.
fn goes_on(form: &str) {
    let (left, proxy) = (LeftBehind::copy(form), Origin::start());
    let before = left.records("results");
    let (status, code) = left.state("status");
    assert!(before.iter().all(|record| record.get("journal").is_some() && record.get("state_id").is_none()));
    assert!(settled(&status) < before.len() as u64, "no record is behind the checkpoint: {status}");
    assert_eq!((code, left.state("check").1, left.checkpoint()["version"].as_u64()), (Some(0), Some(0), Some(1)));
    let done: BTreeSet<u64> = before.iter().map(seq).collect();
    let missing: Vec<u64> = (1..=LINES).filter(|n| !done.contains(n)).collect();
    assert!(!missing.is_empty() && done.len() == before.len());

    let mut running = left.start(&proxy);
    if left.is_followed() {
        proxy.wait_for_requests(missing.len());
        running.signal(Signal::SIGTERM);
    }
    let ended = running.finish("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let mut asked: Vec<u64> = proxy.requests().iter().map(|request| number_in_url(&request.target)).collect();
    asked.sort_unstable();
    assert_eq!(asked, missing, "{}", ended.stderr);
    compare(&before, &left.records("results"));
    assert_eq!(left.checkpoint()["version"], left_behind::VERSION);
    let (status, code) = left.state("status");
    assert_eq!((settled(&status), code, left.state("check").1), (LINES, Some(0), Some(0)), "{status}");
}

/// Every line has one record, under its number and the name of the data directory, and the old ones stay as they are.
fn compare(before: &[Value], after: &[Value]) {
    let state_id = &before[0]["journal"];
    let mut seqs: Vec<u64> = after.iter().map(seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=LINES).collect::<Vec<_>>());
    assert!(before.iter().all(|record| after.contains(record)));
    for record in after {
        let id = record.get("state_id").or(record.get("journal"));
        assert_eq!((id, number_in_url(&record["input"].to_string())), (Some(state_id), seq(record)), "{record}");
        assert!(record.get("round").is_none() && (before.contains(record) || record.get("state_id").is_some()));
    }
}

#[test]
fn a_plain_output_and_one_of_failures_go_on() {
    goes_on("plain");
}

#[test]
fn the_failures_of_both_versions_are_in_their_output_once() {
    let (left, proxy) = (LeftBehind::copy("plain"), Origin::start());
    let before = left.records("failures");
    assert_eq!(left.start(&proxy).finish("").code, Some(0));
    assert_eq!(left.records("failures"), before, "all lines that were left are answered with 200");
    let mut failed: Vec<u64> = left.records("results").iter().filter(|r| r["outcome"] != "ok").map(seq).collect();
    failed.sort_unstable();
    let mut seqs: Vec<u64> = before.iter().map(seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, failed);
}

#[test]
fn failures_of_both_versions_are_fetched_again_in_a_round() {
    let (left, proxy) = (LeftBehind::copy("plain"), Origin::start());
    assert_eq!(left.start(&proxy).finish("").code, Some(0));
    let failed = |records: Vec<Value>| -> BTreeSet<u64> {
        records.iter().filter(|record| record["outcome"] != "ok").map(seq).collect()
    };
    let before = left.records("results");
    assert!(before.iter().any(|record| record.get("journal").is_some() && record["outcome"] != "ok"));
    let again = left.start_with(&proxy, &["--again", "not_ok"]).finish("");
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let of_round: BTreeSet<u64> =
        left.records("results").iter().filter(|record| record["round"] == 2).map(seq).collect();
    assert_eq!(of_round, failed(before));
}

#[test]
fn rotated_outputs_go_on() {
    goes_on("rotated");
}

#[test]
fn an_output_compressed_with_zstd_goes_on() {
    goes_on("zstd");
}

#[test]
fn an_output_compressed_with_gzip_goes_on() {
    goes_on("gzip");
}

#[test]
fn a_durable_stdin_goes_on() {
    goes_on("stdin");
}

#[test]
fn a_followed_file_goes_on() {
    goes_on("followed");
}

#[test]
fn a_followed_file_that_was_rotated_goes_on() {
    goes_on("followed-rotated");
}

#[test]
fn hosts_that_were_paused_closed_or_unreachable_are_asked_again() {
    goes_on("hosts");
}

#[test]
fn a_round_without_its_list_and_a_later_version_are_refused_and_nothing_is_sent() {
    let (left, proxy) = (LeftBehind::copy("stdin"), Origin::start());
    assert_eq!(left.start(&proxy).finish("").code, Some(0));
    let (mut checkpoint, requests) = (left.checkpoint(), proxy.requests().len());
    checkpoint["round"] = json!({ "number": 2, "selection": "not_ok", "done": [{ "from": 1, "to": 2 }] });
    left.replace_checkpoint(&checkpoint.to_string());
    assert_eq!(left.state("status").1, Some(2));
    let open = left.start(&proxy).finish("");
    assert!(open.code == Some(2) && open.stderr.contains("its list state/rounds/2 cannot be read"), "{open:?}");
    checkpoint["version"] = 3.into();
    left.replace_checkpoint(&checkpoint.to_string());
    assert_eq!(left.state("status").1, Some(2));
    let later = left.start(&proxy).finish("");
    assert!(later.code == Some(2) && later.stderr.contains("is of version 3, and this fetchd reads"), "{later:?}");
    assert_eq!(proxy.requests().len(), requests);
}

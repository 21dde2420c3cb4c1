//! A new kind of source or sink is one file and one row: two kinds that fetchd does not have are added here in just that
//! way, and run; and CONTRIBUTING.md's recipes are held to what the kinds that are there look like.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in tests a panic is how a failure is said"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what is shared serves several test binaries")]
mod common;
mod count;
mod recipe;
mod tab;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::origin::Origin;
use fetchd::cli::RunArgs;
use fetchd::config::{Registry, Written};
use fetchd::daemon;
use fetchd::registry::Kind;
use serde::Deserialize;

/// fetchd's own kinds and these two, each by its row.
fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.sources.push(Kind::new::<count::Count>("count", |table| Ok(Arc::new(count::Count::deserialize(table)?))));
    registry.sinks.push(Kind::new::<tab::Tab>("tab", |table| Ok(Arc::new(tab::Tab::deserialize(table)?))));
    registry
}

fn problems(toml: &str) -> String {
    let written = Written::parse_with(&registry(), Path::new("fetchd.toml"), toml, |_| None);
    written.check().map(|_| String::new()).unwrap_or_else(|report| report.to_string())
}

#[test]
fn a_new_source_and_a_new_sink_run_together_with_those_that_are_there() {
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    let (table, lines, config) =
        (dir.path().join("table.tsv"), dir.path().join("all.jsonl"), dir.path().join("fetchd.toml"));
    let toml = format!(
        "[source.pages.count]\nurl = {:?}\nto = 20\n[sink.table.tab]\npath = {table:?}\n[sink.all.jsonl]\npath = {lines:?}\nbody = \"none\"\n\
         [network]\nallow = [\"127.0.0.0/8\"]\n",
        origin.url("/ok/{}")
    );
    fs::write(&config, toml).unwrap();
    let args = RunArgs { config: Some(config), quiet: true, ..RunArgs::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(daemon::run_with(&args, &registry())), 0);
    let mut rows: Vec<_> = fs::read_to_string(table).unwrap().lines().map(str::to_owned).collect();
    rows.sort_by_key(|row| row.split('\t').next().unwrap().parse::<u64>().unwrap());
    let want: Vec<_> = (1..=20).map(|n| format!("{n}\t200\tOK {n}")).collect();
    assert_eq!(rows.len(), want.len());
    for (n, row) in (1..).zip(&rows) {
        let [seq, status, bytes, body] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        assert_eq!((seq, status), (n.to_string().as_str(), "200"));
        assert_eq!(
            bytes.parse::<usize>().unwrap(),
            body.len(),
            "the sink asked for bodies, though the other one does not"
        );
    }
    let records = fs::read_to_string(lines).unwrap();
    assert_eq!(records.lines().count(), 20);
    assert!(records.lines().all(|line| line.contains("\"source\":\"pages\"") && !line.contains("\"body\"")));
}

#[test]
fn the_configuration_treats_a_new_kind_as_its_own() {
    let table = "[sink.table.tab]\npath = \"t.tsv\"\n";
    assert_eq!(problems(&format!("[source.pages.count]\nurl = \"http://a.test/{{}}\"\nto = 3\n{table}")), "");
    let wrong = format!(
        "[source.pages.count]\nurl = \"http://a.test/\"\ntoo = 3\ntoken = \"s3cret\"\nto = 0\n{table}colour = 1\n"
    );
    let report = problems(&wrong);
    for part in [
        "unknown key `too` in [source.pages.count]; did you mean `to`?",
        "unknown key `colour` in [sink.table.tab]",
        "`url` has no `{}`, so all lines would be the same",
        "`to` is 0, so there would be no line",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains("s3cret"), "{report}");
    let kinds = problems("[source.pages.counts]\nto = 3\n[sink.x.nothing]\n");
    assert!(
        kinds.contains("did you mean `count`?") && kinds.contains("`stdout`, `jsonl`, `webhook` and `tab`"),
        "{kinds}"
    );
    let source = "[source.pages.count]\nurl = \"http://a.test/{}\"\nto = 3\nreleases = true\n";
    assert_eq!(problems(&format!("{source}{table}")), "");
    let ordered = problems(&format!("{source}{table}[output]\norder = \"input\"\n"));
    assert!(ordered.contains("[source.pages.count] can take lines back without a record"), "{ordered}");
    let twice = problems(&format!("[sink.other.jsonl]\npath = \"t.tsv\"\n{table}"));
    assert!(twice.contains("the sinks `other` and `table` write to the same place"), "{twice}");
}

//! A sink that has got another name in the configuration since its run was killed.

use std::fs;

use serde_json::Value;

use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;
use crate::scenario::{Scenario, seqs};

/// A durable source, and a sink with this name.
fn run(scenario: &Scenario, sink: &str, table: &str, input: &str) {
    let config = format!(
        "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\nmin_free = '1'\n[sink.{sink}.jsonl]\npath = 'results.jsonl'\n{table}"
    );
    let ended = Fetchd::local().directory(scenario.dir.path()).config(&config).run(input);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The numbers of all records, from the first file to the last.
fn all(scenario: &Scenario) -> Vec<u64> {
    let names = scenario.names().into_iter().filter(|name| name.starts_with("results"));
    names.flat_map(|name| seqs(&scenario.text(&name))).collect()
}

fn checkpoint(scenario: &Scenario) -> Value {
    serde_json::from_slice(&fs::read(scenario.path("state/checkpoint.json")).unwrap()).unwrap()
}

/// As if the last run had been killed after its start, before it wrote another checkpoint.
fn forget(scenario: &Scenario, before: &Value) {
    let mut checkpoint = checkpoint(scenario);
    checkpoint["sources"] = before["sources"].clone();
    let (old, new) = (&before["sinks"]["before"][0], &mut checkpoint["sinks"]["before"][0]);
    new["length"] = if old["file"] == new["file"] { old["length"].clone() } else { 0.into() };
    fs::write(scenario.path("state/checkpoint.json"), checkpoint.to_string()).unwrap();
}

#[test]
fn a_sink_that_got_another_name_is_known_by_its_file() {
    for table in ["", "rotate_size = '1GiB'", "compress = 'zstd'"] {
        let (scenario, origin) = (Scenario::new(), Origin::start());
        run(&scenario, "before", table, &format!("{}\n", origin.url("/ok/1")));
        let before = checkpoint(&scenario);
        run(&scenario, "before", table, &format!("{}\n", origin.url("/ok/2")));
        forget(&scenario, &before);
        run(&scenario, "after", table, "");
        assert_eq!(all(&scenario), [1, 2], "{table}");
        assert_eq!(origin.requests().len(), 2);
    }
}

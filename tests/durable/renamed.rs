//! A sink that has got another name in the configuration since its run was killed.

use std::fs;

use serde_json::Value;

use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;
use crate::scene::{Scene, seqs};

/// A durable source, and a sink with this name.
fn run(scene: &Scene, sink: &str, table: &str, input: &str) {
    let config = format!(
        "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\nmin_free = '1'\n[sink.{sink}.jsonl]\npath = 'results.jsonl'\n{table}"
    );
    let ended = Fetchd::local().directory(scene.dir.path()).config(&config).run(input);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The numbers of all records, from the first file to the last.
fn all(scene: &Scene) -> Vec<u64> {
    let names = scene.names().into_iter().filter(|name| name.starts_with("results"));
    names.flat_map(|name| seqs(&scene.text(&name))).collect()
}

fn checkpoint(scene: &Scene) -> Value {
    serde_json::from_slice(&fs::read(scene.path("state/checkpoint.json")).unwrap()).unwrap()
}

/// As if the last run had been killed after its start, before it wrote another checkpoint.
fn forget(scene: &Scene, before: &Value) {
    let mut checkpoint = checkpoint(scene);
    checkpoint["sources"] = before["sources"].clone();
    let (old, new) = (&before["sinks"]["before"][0], &mut checkpoint["sinks"]["before"][0]);
    new["length"] = if old["file"] == new["file"] { old["length"].clone() } else { 0.into() };
    fs::write(scene.path("state/checkpoint.json"), checkpoint.to_string()).unwrap();
}

#[test]
fn a_sink_that_got_another_name_is_known_by_its_file() {
    for table in ["", "rotate_size = '1GiB'", "compress = 'zstd'"] {
        let (scene, origin) = (Scene::new(), Origin::start());
        run(&scene, "before", table, &format!("{}\n", origin.url("/ok/1")));
        let before = checkpoint(&scene);
        run(&scene, "before", table, &format!("{}\n", origin.url("/ok/2")));
        forget(&scene, &before);
        run(&scene, "after", table, "");
        assert_eq!(all(&scene), [1, 2], "{table}");
        assert_eq!(origin.requests().len(), 2);
    }
}

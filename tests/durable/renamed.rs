//! A sink that has got another name in the configuration since its run was killed.

use std::fs;

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

#[test]
fn a_sink_that_got_another_name_is_known_by_its_file() {
    for table in ["", "rotate_size = '1GiB'", "compress = 'zstd'"] {
        let (scene, origin) = (Scene::new(), Origin::start());
        run(&scene, "before", table, &format!("{}\n", origin.url("/ok/1")));
        let checkpoint = fs::read(scene.path("state/checkpoint.json")).unwrap();
        run(&scene, "before", table, &format!("{}\n", origin.url("/ok/2")));
        // As if it had been killed before its checkpoint.
        fs::write(scene.path("state/checkpoint.json"), checkpoint).unwrap();
        run(&scene, "after", table, "");
        assert_eq!(all(&scene), [1, 2], "{table}");
        assert_eq!(origin.requests().len(), 2);
    }
}

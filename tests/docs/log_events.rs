//! The table of log events is that of the source: a program may wait for each of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::records::{first_cells, names};

/// The values of `event` in the source below this directory.
fn events(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            events(&path, found);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let values = code.split("event = \"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(values.map(str::to_owned));
        }
    }
}

#[test]
fn the_table_of_log_events_is_that_of_the_source() {
    let mut written = BTreeSet::new();
    events(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut written);
    let described: Vec<_> = first_cells("docs/operations.md", "The log").iter().flat_map(|cell| names(cell)).collect();
    let set: BTreeSet<_> = described.iter().cloned().collect();
    assert_eq!(described.len(), set.len(), "an event stands there twice");
    assert_eq!(written, set);
}

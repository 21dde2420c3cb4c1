//! The tables of keys are those of the records that fetchd writes, and records that pages show have only such keys.

use std::collections::BTreeSet;

use fetchd::item::ErrorKind;
use serde_json::Value;

use crate::page::{page, pages};

/// The names in backquotes in a text.
pub fn names(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first cells of the table that follows a heading.
pub fn first_cells(path: &str, heading: &str) -> Vec<String> {
    let text = page(path).text;
    let section = text.split_once(&format!("\n## {heading}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.split('|').nth(1).unwrap().trim().to_owned()).collect()
}

/// The keys of a record, in their order.
pub fn record_keys() -> Vec<String> {
    first_cells("docs/records.md", "A record").iter().flat_map(|cell| names(cell)).collect()
}

#[test]
fn the_table_of_keys_is_that_of_the_encoder() {
    let source = include_str!("../../src/sink/encode.rs");
    let code = source.split("#[cfg(test)]").next().unwrap();
    let calls = code.split(".put").skip(1).chain(code.split("line.key(").skip(1));
    let written: BTreeSet<_> = calls.filter_map(|call| call.split('"').nth(1)).collect();
    let keys = record_keys();
    let described: BTreeSet<_> = keys.iter().map(String::as_str).collect();
    assert_eq!(keys.len(), described.len(), "a key stands there twice");
    assert_eq!(written, described);
}

#[test]
fn the_table_of_outcomes_has_every_kind_once() {
    let text = page("docs/records.md").text;
    let table = text.split_once("\n## Outcomes and kinds\n").unwrap().1.split("\n## ").next().unwrap().to_owned();
    let cells =
        table.lines().filter(|line| line.starts_with("| `")).map(|row| row.split('|').nth(3).unwrap().to_owned());
    let mut described: Vec<_> = cells.flat_map(|cell| names(&cell)).collect();
    let mut kinds: Vec<_> = ErrorKind::ALL.into_iter().map(|kind| kind.name().to_owned()).collect();
    described.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(described, kinds);
}

#[test]
fn each_record_that_a_page_shows_has_keys_that_there_are() {
    let keys: BTreeSet<_> = record_keys().into_iter().collect();
    let mut shown = 0;
    for page in pages() {
        for line in page.blocks.iter().flat_map(|block| block.text.lines()) {
            let Ok(Value::Object(record)) = serde_json::from_str::<Value>(line) else { continue };
            if record.contains_key("outcome") {
                let unknown: Vec<_> = record.keys().filter(|key| !keys.contains(*key)).collect();
                assert!(unknown.is_empty(), "{}: {unknown:?} in {line}", page.path);
                shown += 1;
            }
        }
    }
    assert!(shown > 0);
}

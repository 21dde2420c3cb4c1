//! Commands of the pages, run by a shell in an internet of their own, in the order in which a reader types them. Files that
//! a page shows are written; output that it shows must come.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value};

use crate::common::namespace::{self, Own, both};
use crate::internet::{Internet, place};
use crate::page::{Block, page};

/// What stands in the directory where a session begins, besides what the page itself has written there.
const URLS: [(&str, &str); 1] = [("urls.txt", "https://example.com/1\nhttps://example.com/2\n")];

/// Runs the blocks in one shell, in an empty directory but for these files.
fn session(title: &str, blocks: &[Block], files: &[(&str, &str)]) {
    let (internet, place) = (Internet::start(), place(files));
    let script = script(blocks);
    let path = format!("{}:{}", internet.path().display(), std::env::var("PATH").unwrap());
    let output = shell(&script, place.path(), &path);
    assert!(output.status.success(), "{title}: {}\n{}\n{script}", output.status, both(&output));
    let shown = fs::read_to_string(place.path().join(".shown")).unwrap_or_default();
    let mut outputs_of_blocks = shown.split('\u{1e}').skip(1);
    for pair in blocks.windows(2).filter(|pair| is_run(&pair[0])) {
        let came = outputs_of_blocks.next().unwrap();
        if ["text", "json"].contains(&pair[1].language.as_str()) {
            compare(title, &pair[1], came, &String::from_utf8_lossy(&output.stderr), place.path());
        }
    }
}

fn is_run(block: &Block) -> bool {
    block.language == "sh" && !block.is_not_run()
}

/// The blocks as one script. What a block prints goes to the file `.shown` as well, after a separator.
fn script(blocks: &[Block]) -> String {
    let mut script = "set -euo pipefail\nset -m\nexport API_TOKEN=secret\n".to_owned();
    for block in blocks {
        if let Some(name) = block.file_name() {
            write!(script, "cat > {name} <<'END_OF_FILE'\n{}END_OF_FILE\n", block.text).unwrap();
        } else if is_run(block) {
            write!(script, "printf '\\x1e' >> .shown\nexec 8>&1 >> .shown\n{}exec >&8 8>&-\n", shortened(block))
                .unwrap();
        }
    }
    script
}

/// The commands; with the note `run with FEWER for MANY` the number MANY is replaced, for what takes minutes.
fn shortened(block: &Block) -> String {
    let note = block.note.as_deref().and_then(|note| note.strip_prefix("run with ")?.split_once(" for "));
    note.map_or_else(
        || block.text.clone(),
        |(fewer, many)| {
            assert!(block.text.contains(many), "{many} is not in {}", block.text);
            block.text.replace(many, fewer)
        },
    )
}

fn shell(script: &str, dir: &Path, path: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(dir).env("PATH", path).stdin(Stdio::null());
    command.output().unwrap()
}

/// What a page shows is the end of what came on stdout. With the note `numbers differ` each line of it stands in the output or
/// on stderr, whatever its numbers; with `values differ` a record has just its keys.
fn compare(title: &str, shown: &Block, stdout: &str, stderr: &str, dir: &Path) {
    match shown.note.as_deref() {
        Some("numbers differ") => {
            let came: Vec<_> = stdout.lines().chain(stderr.lines()).map(without_numbers).collect();
            for line in shown.text.lines().map(without_numbers) {
                assert!(came.contains(&line), "{title}: nothing like\n{line}\nin\n{}", came.join("\n"));
            }
        }
        Some("values differ") => {
            let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
            let written: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
            let came: Vec<_> = stdout.lines().chain(written.lines()).filter_map(keys).collect();
            let shown = keys(&shown.text).unwrap();
            assert!(came.contains(&shown), "{title}: no record has the keys {shown:?}: {came:?}");
        }
        Some("an example of another run") => {}
        Some(note) => panic!("{title}: there is no note `{note}`"),
        None => assert!(stdout.ends_with(&shown.text), "{title} shows\n{}\nand what came is\n{stdout}", shown.text),
    }
}

/// The keys of an object.
fn keys(line: &str) -> Option<Vec<String>> {
    let object: Map<String, Value> = serde_json::from_str(line).ok()?;
    Some(object.keys().cloned().collect())
}

/// The line with `0` for each of its numbers.
fn without_numbers(line: &str) -> String {
    let (mut text, mut rest) = (String::new(), line);
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = rest[start..].trim_start_matches(|c: char| c.is_ascii_digit() || ",.".contains(c));
        text.push_str(&rest[..start]);
        text.push('0');
        rest = number;
    }
    text + rest
}

/// All blocks of one section.
fn section(path: &str, title: &str) -> Vec<Block> {
    let blocks: Vec<_> = page(path).blocks.into_iter().filter(|block| block.section == title).collect();
    assert!(blocks.iter().any(is_run), "{path} has no commands to run in {title}");
    blocks
}

#[test]
fn the_three_uses_of_the_readme_work() {
    namespace::with(Own::NetworkAndMounts, "sessions::the_three_uses_of_the_readme_work", || {
        session("README", &section("README.md", "Three uses"), &URLS);
    });
}

#[test]
fn the_guide_works_from_its_first_command_to_its_last() {
    namespace::with(Own::NetworkAndMounts, "sessions::the_guide_works_from_its_first_command_to_its_last", || {
        session("guide", &page("docs/guide.md").blocks, &[]);
    });
}

#[test]
fn the_commands_on_freshness_work() {
    namespace::with(Own::NetworkAndMounts, "sessions::the_commands_on_freshness_work", || {
        session("freshness", &page("docs/freshness.md").blocks, &URLS);
    });
}

#[test]
fn the_commands_on_sources_and_sinks_work() {
    namespace::with(Own::NetworkAndMounts, "sessions::the_commands_on_sources_and_sinks_work", || {
        session("sources and sinks", &page("docs/sources-and-sinks.md").blocks, &URLS);
    });
}

/// A recipe starts in an empty directory.
macro_rules! recipes {
    ($($test:ident: $title:literal,)*) => {
        const RECIPES: &[&str] = &[$($title),*];
        $(
            #[test]
            fn $test() {
                namespace::with(Own::NetworkAndMounts, concat!("sessions::", stringify!($test)), || {
                    session($title, &section("docs/recipes.md", $title), &[]);
                });
            }
        )*
    };
}

recipes! {
    the_recipe_for_an_api_with_a_token_works: "5,000 records of an API, with a token, at 50 a second",
    the_recipe_for_a_token_that_expires_works: "A token that expires during the run",
    the_recipe_for_one_file_works: "One JSON file, and the failures",
    the_recipe_for_posts_works: "POSTs, joined back by id",
    the_recipe_for_pages_works: "10,000 pages, politely, with bodies in a file",
    the_recipe_for_kills_works: "Killed, and gone on",
    the_recipe_for_completeness_works: "Is it complete?",
    the_recipe_for_failures_works: "Failures again, and merged",
    the_recipe_for_three_apis_works: "Three APIs with different limits",
    the_recipe_for_a_sorted_list_works: "A list that is sorted by host",
    the_recipe_for_a_paginated_api_works: "A paginated API, followed item by item",
    the_recipe_for_every_day_works: "Every day, durable",
    the_recipe_for_what_changed_works: "What changed since yesterday",
}

#[test]
fn every_recipe_has_a_test() {
    let mut sections: Vec<_> = page("docs/recipes.md").blocks.into_iter().map(|block| block.section).collect();
    sections.dedup();
    assert_eq!(sections, RECIPES);
}

#[test]
fn numbers_are_left_out_of_a_line() {
    assert_eq!(without_numbers("20 lines of a.com in 1.0 s (1,204/s)"), "0 lines of a.com in 0 s (0/s)");
}

//! One word for one thing: the words of the glossary are those of keys, flags and records, and no other words stand for them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::CommandFactory;
use fetchd::cli::Cli;

use crate::page::{page, pages, repository};
use crate::records::{names, record_keys};

/// The cells of the rows of the first table below a heading.
fn table(path: &str, heading: &str) -> Vec<Vec<String>> {
    let text = page(path).text;
    let section = text.split_once(&format!("\n## {heading}\n")).unwrap().1;
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// A row of the glossary: the word, and the names by which users see it.
fn glossary() -> Vec<(String, Vec<String>)> {
    table("ARCHITECTURE.md", "Glossary").into_iter().map(|cells| (cells[1].clone(), names(&cells[3]))).collect()
}

/// `table.key` of each key in the complete configuration and in the examples, those that stand there as comments included.
fn keys() -> BTreeSet<String> {
    let examples = fs::read_dir(repository("config/examples")).unwrap().map(|entry| entry.unwrap().path());
    let files = examples.chain([repository("config/fetchd.toml")]);
    files.flat_map(|file| keys_of(&fs::read_to_string(file).unwrap())).collect()
}

fn keys_of(text: &str) -> Vec<String> {
    let (mut found, mut table) = (Vec::new(), String::new());
    for line in text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)) {
        if let Some(header) = line.strip_prefix('[') {
            header.split(['.', ']']).next().unwrap().clone_into(&mut table);
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            found.push(format!("{table}.{key}"));
        }
    }
    found
}

fn flags() -> BTreeSet<String> {
    let command = Cli::command();
    let all = command.get_arguments().chain(command.get_subcommands().flat_map(clap::Command::get_arguments));
    all.filter_map(|option| option.get_long().map(|long| format!("--{long}"))).collect()
}

/// Everything that users type or read as a name.
fn all_names() -> BTreeSet<String> {
    keys().into_iter().chain(flags()).chain(record_keys()).collect()
}

/// Whether a name has all parts of a word, in the singular or plural.
fn has(name: &str, word: &str) -> bool {
    let parts: Vec<_> = name.split(['.', '_', '-']).collect();
    word.split([' ', '_']).all(|word| parts.iter().any(|part| *part == word || part.strip_suffix('s') == Some(word)))
}

/// Whether one of these patterns is that of a name; `hosts.*` is that of all keys of a table.
fn lists(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| pattern == name || pattern.strip_suffix('*').is_some_and(|table| name.starts_with(table)))
}

#[test]
fn a_word_of_the_glossary_is_in_each_name_that_has_it_and_in_no_other_sense() {
    for (word, seen_as) in glossary() {
        let with_it: Vec<_> =
            all_names().into_iter().filter(|name| has(name, &word) && !lists(&seen_as, name)).collect();
        assert!(with_it.is_empty(), "`{word}` is in {with_it:?}, which its row of the glossary does not have");
    }
}

#[test]
fn each_name_in_the_glossary_is_one_that_there_is() {
    let names = all_names();
    for (word, seen_as) in glossary() {
        let gone: Vec<_> =
            seen_as.iter().filter(|pattern| !names.iter().any(|name| lists(&[(*pattern).clone()], name))).collect();
        assert!(gone.is_empty(), "`{word}` is said to be seen as {gone:?}");
    }
}

/// What `fetchd` prints about itself.
fn help() -> Vec<(String, String)> {
    let subcommands: Vec<_> = Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut asked: Vec<Vec<&str>> = subcommands.iter().map(|name| vec![name.as_str(), "--help"]).collect();
    asked.extend([vec!["--help"], vec!["-h"], vec!["man"]]);
    let said = asked.iter().map(|args| {
        let output = Command::new(env!("CARGO_BIN_EXE_fetchd")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        (format!("fetchd {}", args.join(" ")), String::from_utf8(output.stdout).unwrap())
    });
    said.collect()
}

/// The sources, without their tests.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![repository("src")];
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                dirs.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.display().to_string(), text.split("#[cfg(test)]").next().unwrap().to_owned()));
            }
        }
    }
    found
}

/// The rows of the table of words in CONTRIBUTING.md: one that is written, and those that are not.
fn unused_words() -> Vec<(String, Vec<String>)> {
    table("CONTRIBUTING.md", "Words").into_iter().map(|cells| (cells[1].clone(), names(&cells[2]))).collect()
}

/// Whether a text has this word or these words, in any case.
fn says(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(at, _)| !is_letter(text[..at].chars().next_back()) && !is_letter(text[at + word.len()..].chars().next()))
}

#[test]
fn one_word_stands_for_one_thing_in_pages_help_configurations_and_sources() {
    let pages = pages().into_iter().map(|page| (page.path, page.text));
    let files = ["config/fetchd.toml", "config/alerts.yml", "ARCHITECTURE.md"];
    let files = files.map(|file| (file.to_owned(), fs::read_to_string(repository(file)).unwrap()));
    let texts: Vec<_> = pages.chain(files).chain(help()).chain(sources()).collect();
    let words = unused_words();
    assert!(words.len() > 5 && texts.len() > 100, "{} words in {} texts", words.len(), texts.len());
    let mut found = Vec::new();
    for (place, text) in &texts {
        let text = text.to_lowercase();
        for (ours, others) in &words {
            found.extend(
                others.iter().filter(|word| says(&text, word)).map(|word| format!("{place}: `{word}` for `{ours}`")),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_name_has_a_word_by_its_parts() {
    assert!(
        has("queue.window_bytes", "window") && has("limits.hosts", "host") && has("limits.body_memory", "body memory")
    );
    assert!(!has("retry.host_floor", "hos") && !has("fetch.max_body", "body memory"));
    assert_eq!(keys_of("[a.b.c]\nx = 1  # y = 2\n# z = 3\n# w is = 4\n"), ["a.x", "a.z"]);
    assert!(says("he rests now", "rests") && !says("interests", "rests"));
}

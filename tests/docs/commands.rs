//! Commands that no test runs, as they need another machine or would change this one, are accepted by the command line at least.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::page::{Page, pages};

/// Pages whose commands are run ([`crate::sessions`]), but for blocks that say why not.
const RUN: [&str; 4] = ["docs/guide.md", "docs/recipes.md", "docs/freshness.md", "docs/sources-and-sinks.md"];

/// The `fetchd` commands of a page that are not run: each from its name up to what ends a command of the shell.
fn not_run(page: &Page) -> Vec<String> {
    let is_checked = |block: &&crate::page::Block| {
        let is_run = RUN.contains(&page.path.as_str()) || (page.path == "README.md" && block.section == "Three uses");
        block.language == "sh" && (block.is_not_run() || !is_run)
    };
    page.blocks.iter().filter(is_checked).flat_map(|block| commands(&block.text)).collect()
}

/// The commands of a text that begin with `fetchd`.
fn commands(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in text.lines() {
        let starts = line.match_indices("fetchd ").filter(|(at, _)| begins_a_command(&line[..*at]));
        found.extend(starts.map(|(at, _)| format!("fetchd {}", first_command(&line[at + "fetchd ".len()..]))));
    }
    found
}

/// Whether a command may follow this beginning of a line.
fn begins_a_command(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.ends_with(['|', ';', '&', '(']) || before.ends_with(" --")
}

/// The text up to what ends a command, outside quotes.
fn first_command(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if "'\"".contains(c) => quote = Some(c),
            None if "|;&<>#)".contains(c) => return text[..at].trim_end(),
            _ => {}
        }
    }
    text.trim_end()
}

#[test]
fn commands_that_are_not_run_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    // With `--help` at their end, arguments are read and nothing is done.
    let script = format!("#!/bin/sh\nexec {} \"$@\" --help\n", env!("CARGO_BIN_EXE_fetchd"));
    fs::write(dir.path().join("fetchd"), script).unwrap();
    fs::set_permissions(dir.path().join("fetchd"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let mut checked = 0;
    for page in pages() {
        for command in not_run(&page).into_iter().filter(|command| !command.contains('…')) {
            let mut shell = Command::new("bash");
            shell.args(["-euc", &command]).env("API_TOKEN", "secret").env("TOKEN", "secret").env("PATH", &path);
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{}: {command}: {}", page.path, String::from_utf8_lossy(&output.stderr));
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn commands_are_found_in_a_script() {
    let text = "cat a | fetchd -H 'a: b|c' > x # y\nrunuser -u fetchd -- fetchd -c x \\\n  --fail\necho fetchd is; fetchd check && fetchd ctl x\n";
    assert_eq!(commands(text), ["fetchd -H 'a: b|c'", "fetchd -c x    --fail", "fetchd check", "fetchd ctl x"]);
}

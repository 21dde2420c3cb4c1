//! A `kill -9` halfway, and the same command once more: which requests are sent twice, and which results are missing, torn or
//! there twice.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::candidates::{Crawler, Mix, Setting};
use super::origin::Origin;
use super::pages::Coding;
use crate::say;

const MIX: Mix = Mix { coding: Coding::Gzip, hosts: 500, pages: 10_000 };

/// How often the server's account is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What came of both runs.
struct Outcome {
    sent_twice: u64,
    missing: usize,
    torn: usize,
    twice: usize,
}

/// Prints a table of those crawlers that are installed.
pub fn kill(dir: &Path) {
    let origin = Origin::start();
    let setting = Setting::new(dir, &origin);
    say(&format!(
        "| {} pages, killed at half, and run again | requests sent twice | results missing | torn | there twice |\n|---|---|---|---|---|",
        MIX.pages
    ));
    for crawler in Crawler::WITH_BODIES {
        let output = dir.join(format!("{crawler:?}.jsonl"));
        let Some(command) = command(&setting, crawler, dir, &output) else { continue };
        let Outcome { sent_twice, missing, torn, twice } = outcome(&origin, &command, &output);
        say(&format!("| {} | {sent_twice} | {missing} | {torn} | {twice} |", crawler.name()));
    }
}

/// The command of the tables; fetchd with a data directory, and curl with a line for each page that it has.
fn command(setting: &Setting, crawler: Crawler, dir: &Path, output: &Path) -> Option<Vec<String>> {
    let mut command = setting.command(crawler, MIX)?;
    let [output, state] = [output, &dir.join("state")].map(|path| path.display().to_string());
    let more: &[&str] = match crawler {
        Crawler::Fetchd => &["-o", &output, "--data-dir", &state],
        Crawler::Curl => &["--write-out", "{\"url\":\"%{url}\"}\\n"],
        _ => &[],
    };
    command.extend(more.iter().map(|argument| (*argument).to_owned()));
    Some(command)
}

fn outcome(origin: &Origin, command: &[String], output: &Path) -> Outcome {
    origin.end_run();
    let mut first = start(command, output);
    while origin.requests() < MIX.pages as u64 / 2 {
        assert!(first.try_wait().expect("its status").is_none(), "it ended before it was killed: {command:?}");
        std::thread::sleep(LOOK_EVERY);
    }
    first.kill().expect("it is killed");
    first.wait().expect("its end");
    assert!(start(command, output).wait().expect("its end").success(), "{command:?}");
    let sent_twice = origin.end_run().requests.saturating_sub(MIX.pages as u64);
    let text = std::fs::read_to_string(output).expect("the output");
    let whole: Vec<_> = text.lines().filter_map(url).collect();
    let distinct: HashSet<_> = whole.iter().collect();
    let (missing, twice) = (MIX.pages - distinct.len(), whole.len() - distinct.len());
    Outcome { sent_twice, missing, torn: text.lines().count() - whole.len(), twice }
}

/// Starts it; what it prints is appended to the output, as a script does that is to lose nothing.
fn start(command: &[String], output: &Path) -> Child {
    let (program, arguments) = command.split_first().expect("a command");
    let to: File = OpenOptions::new().create(true).append(true).open(output).expect("the output");
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(to)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// The URL of a result that is whole.
fn url(line: &str) -> Option<String> {
    let result: Value = serde_json::from_str(line).ok()?;
    Some(result["url"].as_str()?.to_owned())
}

//! `fetchd state`: status, dump and check of a data directory.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{RunArgs, StateArgs, StateCommand};
use crate::config::Config;
use crate::disk::RealDisk;
use crate::error::{BoxError, Chain};
use crate::item::Text;
use crate::state::{RoundStatus, SourceStatus, WalStatus, count, inspect, round};
use crate::units::{counted, grouped, in_bytes};

/// Runs a command; returns the exit code.
pub fn state(command: &StateCommand) -> u8 {
    let mut out = BufWriter::new(io::stdout().lock());
    let code = match command {
        StateCommand::Status { place, json } => status(place, *json, &mut out),
        StateCommand::Dump { place } => dump(place, &mut out),
        StateCommand::Check { place } => check(place, &mut out),
    };
    match code.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", Chain::of(&error));
            2
        }
    }
}

/// Prints how many lines of each source were accepted and are done.
fn status(place: &StateArgs, json: bool, out: &mut impl Write) -> Result<u8, BoxError> {
    let dir = data_dir(place)?;
    let (sources, round) = (count(&RealDisk, &dir)?, round(&RealDisk, &dir)?);
    if json {
        let sources: serde_json::Map<_, _> =
            sources.into_iter().map(|source| (source.name.clone(), as_json(&source))).collect();
        let mut status = json!({ "sources": sources });
        if let Some(RoundStatus { number, selection, lines, done }) = round {
            status["round"] = json!({ "number": number, "selection": selection, "lines": lines, "done": done });
        }
        writeln!(out, "{status}")?;
        return Ok(0);
    }
    for source in &sources {
        writeln!(out, "{}", as_text(source))?;
    }
    if let Some(RoundStatus { number, selection, lines, done }) = round {
        let (lines, done) = (counted(lines, "line"), grouped(done));
        writeln!(out, "round {number} is open: {lines} of `{selection}`, of which {done} are done")?;
    }
    Ok(0)
}

fn as_json(source: &SourceStatus) -> serde_json::Value {
    let journal = source.journal.as_ref();
    json!({
        "kind": source.kind,
        "accepted": journal.map(|journal| journal.accepted),
        "done": source.settled,
        "pending": source.pending(),
        "bytes": journal.map(|journal| journal.bytes),
        "segments": journal.map(|journal| journal.segments),
    })
}

fn as_text(source: &SourceStatus) -> String {
    let (name, done) = (shown(&source.name), grouped(source.settled));
    match (&source.journal, source.pending()) {
        (Some(journal), Some(pending)) => {
            let (accepted, pending) = (grouped(journal.accepted), grouped(pending));
            let (bytes, segments) = (in_bytes(journal.bytes), counted(journal.segments as u64, "segment"));
            format!("{name}: accepted {accepted}, done {done}, pending {pending}, {bytes} in {segments}")
        }
        _ => format!(
            "{name}: done {done}; the source has no journal, so only a run can count the lines that are not done"
        ),
    }
}

/// Logs how many accepted lines are left for the next start.
pub(super) fn say_what_is_left(config: &Config, dir: &Path) {
    let has = |name: &str| config.sources.iter().any(|source| source.name.as_deref().unwrap_or_default() == name);
    if let Ok(Some(RoundStatus { number, lines, done, .. })) = round(&RealDisk, dir) {
        tracing::info!("left for the next start: {} of round {number}", counted(lines - done, "line"));
    }
    // If the state cannot be read, nothing is reported.
    for source in count(&RealDisk, dir).unwrap_or_default() {
        let (name, pending) = (&source.name, source.pending().unwrap_or(0));
        let lines = counted(pending, "accepted line");
        match (pending, has(name)) {
            (0, _) => {}
            (_, true) => tracing::info!("left for the next start: {lines} of `{name}`"),
            (_, false) => tracing::warn!(
                "left in {}: {lines} of `{name}`, a source that this run does not have; a run that has it fetches them",
                dir.display()
            ),
        }
    }
}

/// Prints the lines that are not done, as they were accepted.
fn dump(place: &StateArgs, out: &mut impl Write) -> Result<u8, BoxError> {
    inspect(&RealDisk, &data_dir(place)?, |name, seq, text| match text {
        Text::Whole(text) => {
            out.write_all(text)?;
            out.write_all(b"\n")
        }
        Text::TooLong(long) => {
            writeln!(io::stderr(), "line {seq} of `{name}` was too long ({} bytes) and is left out", long.bytes)
        }
        Text::Lost => Ok(()),
    })?;
    Ok(0)
}

/// Checks that every accepted line can be read; returns 1 if some are lost.
fn check(place: &StateArgs, out: &mut impl Write) -> Result<u8, BoxError> {
    let mut code = 0;
    for source in inspect(&RealDisk, &data_dir(place)?, |_, _, _| Ok(()))? {
        let name = shown(&source.name);
        let pending = grouped(source.pending().unwrap_or_default());
        let Some(journal) = source.journal else {
            writeln!(out, "{name}: the source has no journal; nothing to check")?;
            continue;
        };
        let losses = losses(&journal);
        for loss in &losses {
            code = 1;
            writeln!(out, "{name}: {loss}")?;
        }
        if journal.torn.bytes > 0 && journal.torn.damaged.is_none() {
            let torn = counted(journal.torn.bytes, "byte");
            writeln!(out, "{name}: {torn} at the end were never accepted; the next run cuts them off")?;
        }
        if journal.lost.is_empty() && !journal.is_gone() {
            let (lines, segments) = (grouped(journal.accepted), counted(journal.segments as u64, "segment"));
            writeln!(
                out,
                "{name}: of {lines} accepted, {pending} are not done; all of these can be read, in {segments}"
            )?;
        }
    }
    Ok(code)
}

/// The losses of a journal, as sentences.
fn losses(journal: &WalStatus) -> Vec<String> {
    let lost = |(first, last): &(u64, u64)| {
        let lines = if first == last { format!("line {first} is") } else { format!("lines {first} to {last} are") };
        format!("{lines} lost; the next run gives each a record with the error `journal_damaged`")
    };
    let mut losses: Vec<_> = journal.lost.iter().map(lost).collect();
    if journal.is_gone() {
        let last = journal.accepted;
        losses.push(format!("the journal is gone; lines accepted after line {last} are lost: send them again"));
    }
    if let Some(lines) = journal.torn.damaged {
        let bytes = counted(journal.torn.bytes, "byte");
        losses.push(format!("the end is damaged, and the next run cuts it off ({bytes}); {lines}"));
    }
    losses
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "the source without a name" } else { name }
}

/// The data directory of the arguments, or else of the configuration.
fn data_dir(place: &StateArgs) -> Result<PathBuf, BoxError> {
    place.data_dir.clone().map_or_else(|| configured(place.config.as_deref()), Ok)
}

/// The data directory that a configuration names.
fn configured(path: Option<&Path>) -> Result<PathBuf, BoxError> {
    let args = RunArgs { config: path.map(Path::to_owned), ..RunArgs::default() };
    let config = args.config().map_err(|report| report.to_string())?;
    let missing = "no data directory is given; write --data-dir DIR, or -c FILE with state.data_dir";
    config.state.data_dir.ok_or_else(|| missing.into())
}

//! Begins a round: selects lines by their newest records in the outputs.
//!
//! In: the recovered data directory and outputs. Out: a durable list of lines, and a checkpoint that opens the round.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::cli::AgainArgs;
use crate::config::Config;
use crate::disk::{Disk, DiskFile, Mode, READ_BACK};
use crate::error::{AtPath, BoxError};
use crate::item::Outcome;
use crate::output::Cursor;
use crate::results::{ExternalSort, LineKey, Rank, RecordFile, RecordKeys, SORT_MEMORY};
use crate::rounds::{ListWriter, Selection};
use crate::sink::OpenedSink;
use crate::state::{Checkpoint, DataDir};
use crate::units::counted;

/// The parameters of a new round.
#[derive(Clone, Debug)]
pub struct NewRound {
    /// The selection of its lines.
    pub selection: Selection,
    /// Files of records besides the outputs.
    pub from: Vec<PathBuf>,
    /// The treatment of lines that are done and have no record.
    pub missing: Missing,
    /// Sources whose lines no round repeats; their missing records do not count.
    pub passed_over: BTreeSet<String>,
}

/// The treatment of lines that are done and have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The round does not begin.
    Refused,
    /// The round leaves these lines out.
    LeftOut,
}

impl NewRound {
    /// The round of the arguments, if they have one.
    pub(super) fn of(args: &AgainArgs, config: &Config) -> Option<Self> {
        let missing = if args.partial { Missing::LeftOut } else { Missing::Refused };
        let sources = config.sources.iter().filter(|source| !source.component.is_repeated());
        let passed_over = sources.map(|source| source.label().to_owned()).collect();
        Some(Self { selection: args.again.clone()?, from: args.from.clone(), missing, passed_over })
    }
}

/// Begins a round, unless one is open. Temporary files are in `scratch`.
///
/// # Errors
/// The outputs together do not take every record, lines that are done have no readable record, or a file cannot be read
/// or written.
pub fn begin_round(
    new: &NewRound,
    state: &mut DataDir,
    sinks: &mut [OpenedSink],
    scratch: &Path,
) -> Result<(), BoxError> {
    if state.checkpoint.round.is_some() {
        return Ok(());
    }
    reject_lacking_outputs(sinks)?;
    let mut files = Vec::new();
    for (output, _) in sinks.iter_mut().filter_map(OpenedSink::kept_core) {
        files.extend(output.present_files()?);
    }
    files.extend_from_slice(&new.from);
    tracing::info!("selecting lines of `{}` from {}", new.selection, counted(files.len() as u64, "file"));
    let records = NewestRecords::read(new, state, &files, scratch)?;
    let number = state.checkpoint.last_round.max(1) + 1;
    let (disk, dir) = (Arc::clone(&state.disk), state.dir.clone());
    let at = |error: io::Error| format!("cannot write the list of round {number} in {}: {error}", dir.display());
    let mut list = ListWriter::begin(disk.as_ref(), &dir, number).map_err(at)?;
    let found = records.select(&state.checkpoint, &mut list)?;
    if let Some(why) = found.missing(&state.checkpoint, &new.passed_over) {
        if new.missing == Missing::Refused {
            list.abandon().map_err(at)?;
            let dir = state.dir.display();
            return Err(format!(
                "lines that are done according to {dir} have no readable record: {why}; name the files that have their records with --from FILE, or leave these lines out with --partial"
            )
            .into());
        }
        tracing::warn!("left out, because they have no readable record: {why}");
    }
    found.say_cut();
    if list.lines() == 0 {
        tracing::info!("no line to fetch again: no newest record is `{}`", new.selection);
        return list.abandon().map_err(|error| at(error).into());
    }
    tracing::info!("round {number}: {} of `{}` to fetch again", counted(list.lines(), "line"), new.selection);
    let list = list.finish().map_err(at)?;
    state.open_round(list, number, &new.selection)
}

/// Refuses outputs that do not take every record: a line is selected by its newest record.
fn reject_lacking_outputs(sinks: &mut [OpenedSink]) -> Result<(), BoxError> {
    if take_every_outcome(sinks) {
        return Ok(());
    }
    Err("--again selects lines by their newest records, and the files of this run do not take every record; let one file sink take all of them (-o FILE, or records = \"all\"), or add one that takes the rest".into())
}

/// Whether the files of the sinks together take records of every outcome.
pub(super) fn take_every_outcome(sinks: &mut [OpenedSink]) -> bool {
    let taken: Vec<bool> = sinks.iter_mut().filter_map(OpenedSink::kept_core).fold(
        vec![false; Outcome::ALL.len()],
        |taken, (_, encoder)| {
            let all = taken.into_iter().zip(Outcome::ALL);
            all.map(|(is_taken, outcome)| is_taken || encoder.takes(outcome)).collect()
        },
    );
    taken.into_iter().all(|is_taken| is_taken)
}

/// The newest records of lines in the checkpoint, sorted by line.
struct NewestRecords(ExternalSort);

/// The first byte of a sorted record: its meaning for the round. The line's text follows.
const NOT_SELECTED: u8 = b'-';
const CANNOT_BE_REPEATED: u8 = b'?';
const SELECTED: u8 = b'+';

impl NewestRecords {
    fn read(new: &NewRound, state: &DataDir, files: &[PathBuf], scratch: &Path) -> Result<Self, BoxError> {
        let mut sort = ExternalSort::new(SORT_MEMORY, scratch);
        let mut place = 0;
        for path in files {
            let file = open(state.disk.as_ref(), path)?;
            let reader = READ_BACK.begin(file.length()?).follow(Cursor::new(file.as_ref(), 0));
            let mut records = RecordFile::new(path.display().to_string(), reader)?;
            while let Some(found) = records.read()? {
                let Some(keys) = found.keys else { continue };
                let line = keys.line();
                if is_remembered(&state.checkpoint, &line) {
                    let rank = Rank { round: keys.round, place };
                    sort.push(&line.encode(), rank, &meaning(&new.selection, &keys))?;
                    place += 1;
                }
            }
            if records.is_torn() {
                tracing::warn!("the end of {} is torn, and was left out", path.display());
            }
        }
        Ok(Self(sort))
    }

    /// Writes the selected lines to the list.
    fn select(self, checkpoint: &Checkpoint, list: &mut ListWriter<'_>) -> Result<Found, BoxError> {
        let mut found = Found::default();
        self.0.for_each(|key, meaning| {
            let line = LineKey::decode(key).ok_or("a key of the sort is damaged")?;
            if !checkpoint.is_done(&line.source, &line.file, line.seq) {
                return Ok(());
            }
            let mut text = String::new();
            meaning.read_to_string(&mut text)?;
            match text.as_bytes().first() {
                Some(&SELECTED) => {
                    let input: &RawValue = serde_json::from_str(&text[1..])?;
                    list.push(&line.source, &line.file, line.seq, input)?;
                }
                Some(&CANNOT_BE_REPEATED) => found.cut += 1,
                _ => {}
            }
            *found.lines.entry((line.source, line.file)).or_default() += 1;
            Ok::<_, BoxError>(())
        })?;
        Ok(found)
    }
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>, BoxError> {
    disk.open(path, Mode::Read).map_err(|error| AtPath::new(path, error).into())
}

/// Whether a record is of a line that this data directory has numbered.
fn is_remembered(checkpoint: &Checkpoint, line: &LineKey) -> bool {
    checkpoint.sources.contains_key(&line.source) && **checkpoint.state_id_of(&line.source) == *line.state_id
}

fn meaning(selection: &Selection, keys: &RecordKeys<'_>) -> Vec<u8> {
    let is_taken = |outcome| selection.takes(outcome, keys.status, keys.error_kind());
    let is_selected = !keys.is_page() && keys.outcome().is_some_and(is_taken);
    match (is_selected, keys.repeatable_input()) {
        (false, _) => vec![NOT_SELECTED],
        (true, None) => vec![CANNOT_BE_REPEATED],
        (true, Some(input)) => [&[SELECTED], input.get().as_bytes()].concat(),
    }
}

/// Counts of the lines that are done and have a record.
#[derive(Debug, Default)]
struct Found {
    /// Lines with a record, by source and file.
    lines: BTreeMap<(String, String), u64>,
    /// Selected lines that cannot be repeated.
    cut: u64,
}

impl Found {
    /// The number of lines that are done without a record, by file; `None` if all have one.
    fn missing(&self, checkpoint: &Checkpoint, passed_over: &BTreeSet<String>) -> Option<String> {
        const MOST: usize = 5;
        let mut missing = Vec::new();
        for (source, state) in checkpoint.sources.iter().filter(|(source, _)| !passed_over.contains(*source)) {
            for (file, done) in &state.files {
                let found = self.lines.get(&(source.clone(), file.clone())).copied().unwrap_or(0);
                let of = if file.is_empty() { source } else { file };
                missing.push((done.count().saturating_sub(found), of));
            }
        }
        missing.retain(|(lines, _)| *lines > 0);
        let shown = missing.iter().take(MOST).map(|(lines, of)| match of.as_str() {
            "" => counted(*lines, "line"),
            of => format!("{} of {of}", counted(*lines, "line")),
        });
        let mut shown: Vec<_> = shown.collect();
        if missing.len() > MOST {
            let rest = missing[MOST..].iter().map(|(lines, _)| lines).sum();
            shown.push(format!("{} of other files", counted(rest, "line")));
        }
        (!shown.is_empty()).then(|| shown.join(", "))
    }

    fn say_cut(&self) {
        if self.cut > 0 {
            let lines = counted(self.cut, "line");
            tracing::warn!("{lines} left out, whose records do not have the whole `input`: it was cut or lost");
        }
    }
}

//! Recovery after a crash: a line with a record after the last checkpoint is done, and its record is completed in all
//! outputs.
//!
//! Input: outputs with their tails. Result: the lines that are done. Records missing in an output are appended to it.

use std::collections::{BTreeMap, HashSet};
use std::io;

use super::OpenedSink;
use super::derive::{derive, suffices};
use super::opened::FileSink;
use crate::error::BoxError;
use crate::item::{Identity, Outcome, RawJson};
use crate::output::{BodyShown, RecordHead};

/// A line that has a record.
struct Recorded {
    outcome: Outcome,
    page: Option<RawJson>,
    /// The line's record by output.
    copies: Vec<Option<RecordCopy>>,
}

/// A record in one of the outputs.
#[derive(Clone, Copy)]
struct RecordCopy {
    /// The record's index in the tail.
    number: usize,
    body: BodyShown,
}

/// A line that is done according to the outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredLine {
    /// The identity of the line.
    pub id: Identity,
    /// The next page of a source that paginates.
    pub page: Option<RawJson>,
}

/// Whether a line is of a durable source and not done in the checkpoint.
type IsPending<'a> = &'a dyn Fn(&Identity) -> io::Result<bool>;

type AllRecorded = BTreeMap<Identity, Recorded>;

/// Makes the outputs consistent, and returns the lines that are done. Only records of `is_pending` lines are
/// considered.
///
/// A record missing in an output is copied from an output with the same body format, or derived from any other by
/// leaving the body out. If no output has such a record, the line is not done: its records are removed, and the line is
/// fetched again. The same holds for the pages after a missing page, because each page links the next one.
///
/// # Errors
/// When an output cannot be read or written.
pub fn recover(sinks: &mut [OpenedSink], is_pending: IsPending<'_>) -> Result<Vec<RecoveredLine>, BoxError> {
    let mut sinks: Vec<&mut FileSink> = sinks.iter_mut().filter_map(OpenedSink::as_file).collect();
    let mut all = gather(&sinks, is_pending)?;
    let lost = lost(&all, &sinks, is_pending)?;
    if !lost.is_empty() {
        for sink in &mut sinks {
            sink.tail.take_back(&lost, &sink.output)?;
        }
        all = gather(&sinks, is_pending)?;
    }
    for line in all.values() {
        complete(line, &mut sinks)?;
    }
    for sink in sinks {
        sink.output.flush()?;
    }
    Ok(all.into_iter().map(|(id, line)| RecoveredLine { id, page: line.page }).collect())
}

/// The lines with records, and the location of these.
fn gather(sinks: &[&mut FileSink], is_pending: IsPending<'_>) -> io::Result<AllRecorded> {
    let mut all = AllRecorded::new();
    for (output, sink) in sinks.iter().enumerate() {
        for (number, RecordHead { id, outcome, body, page }) in sink.tail.records() {
            if !is_pending(id)? {
                continue;
            }
            let new = || Recorded { outcome: *outcome, page: page.clone(), copies: vec![None; sinks.len()] };
            let line = all.entry(id.clone()).or_insert_with(new);
            line.copies[output].get_or_insert(RecordCopy { number, body: *body });
        }
    }
    Ok(all)
}

/// The lines with records that have to be fetched again.
fn lost<'a>(
    all: &'a AllRecorded,
    sinks: &[&mut FileSink],
    is_pending: IsPending<'_>,
) -> io::Result<HashSet<&'a Identity>> {
    let mut lost = HashSet::new();
    // Lines of one source are sorted by `seq`.
    for (id, line) in all {
        let is_lost = !can_be_everywhere(line, sinks)
            || line.page.is_some() && {
                let before = Identity { seq: id.seq.saturating_sub(1), ..id.clone() };
                let is_done = all.contains_key(&before) && !lost.contains(&before);
                !is_done && before.seq > 0 && is_pending(&before)?
            };
        if is_lost {
            lost.insert(id);
        }
    }
    Ok(lost)
}

/// The first output with a record that suffices for output `to`, and the record's index in its tail.
fn origin(line: &Recorded, to: &FileSink, sinks: &[&mut FileSink]) -> Option<(usize, usize)> {
    let mut copies = line.copies.iter().enumerate();
    copies.find_map(|(from, copy)| {
        let RecordCopy { number, body } = (*copy)?;
        suffices(body, sinks[from].encoder.body(), to.encoder.body()).then_some((from, number))
    })
}

fn lacks(line: &Recorded, output: usize, sink: &FileSink) -> bool {
    line.copies[output].is_none() && sink.encoder.takes(line.outcome)
}

fn can_be_everywhere(line: &Recorded, sinks: &[&mut FileSink]) -> bool {
    let mut all = sinks.iter().enumerate();
    all.all(|(output, sink)| !lacks(line, output, sink) || origin(line, sink, sinks).is_some())
}

/// Appends a line's record to each output that lacks it.
fn complete(line: &Recorded, sinks: &mut [&mut FileSink]) -> Result<(), BoxError> {
    for output in 0..sinks.len() {
        let sink = &sinks[output];
        if lacks(line, output, sink)
            && let Some((from, number)) = origin(line, sink, sinks)
        {
            let body = sink.encoder.body();
            let text = derive(sinks[from].tail.text(number)?, body)?;
            sinks[output].output.append(&text)?;
        }
    }
    Ok(())
}

//! Looks at a data directory without changing anything, also while a run has it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Checkpoint;
use crate::disk::{Disk, Mode, Site};
use crate::error::{AtPath, BoxError};
use crate::item::{Settled, Text};
use crate::journal::{Ending, Found, Segment, Torn, Walk, segments};

/// A durable source, as its checkpoint and its journal show it.
#[derive(Debug)]
pub struct Surveyed {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Lines that are done, as the checkpoint knows; the outputs may know of more.
    pub settled: u64,
    /// Its journal, if it has one.
    pub journal: Option<Journal>,
}

/// A journal.
#[derive(Debug, Default)]
pub struct Journal {
    /// Lines accepted since it was begun, those included that are deleted because they are done.
    pub accepted: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// How many segments it has.
    pub segments: usize,
    /// Lines that are accepted, not done, and cannot be read: from the first to the last of each gap.
    pub lost: Vec<(u64, u64)>,
    /// What comes after the last whole batch, and the next run cuts off.
    pub torn: Torn,
}

impl Surveyed {
    /// Lines that are accepted and not done, as far as the checkpoint knows.
    pub fn pending(&self) -> Option<u64> {
        self.journal.as_ref().map(|journal| journal.accepted.saturating_sub(self.settled))
    }
}

/// Looks at all durable sources, and at no more of their journals than it must to count.
///
/// # Errors
/// When the checkpoint, or a journal, cannot be read.
pub fn count(disk: &dyn Disk, dir: &Path) -> Result<Vec<Surveyed>, BoxError> {
    look(disk, dir, |_, dir, settled| count_journal(disk, dir, settled))
}

/// Looks at all of all durable sources. Each line that is accepted and not done is shown to `pending`, with the name of
/// its source and its number.
///
/// # Errors
/// When the checkpoint, or a journal, cannot be read.
pub fn survey(
    disk: &dyn Disk,
    dir: &Path,
    mut pending: impl FnMut(&str, u64, &Text) -> io::Result<()>,
) -> Result<Vec<Surveyed>, BoxError> {
    look(disk, dir, |name, dir, settled| survey_journal(disk, dir, settled, |seq, text| pending(name, seq, text)))
}

fn look(
    disk: &dyn Disk,
    dir: &Path,
    mut journal: impl FnMut(&str, &Path, &Settled) -> io::Result<Journal>,
) -> Result<Vec<Surveyed>, BoxError> {
    let checkpoint = Checkpoint::load(disk, dir)?
        .ok_or_else(|| format!("there is no state in {}; give the data_dir of a run that has begun", dir.display()))?;
    let mut all = Vec::new();
    for (name, source) in checkpoint.sources {
        let settled = source.files.get("").cloned().unwrap_or_default();
        let journal = match source.kind.as_str() {
            "stdin" => {
                let dir = dir.join("journal").join(&name);
                Some(journal(&name, &dir, &settled).map_err(|error| AtPath::new(&dir, error))?)
            }
            _ => None,
        };
        let settled = source.files.values().map(Settled::count).sum();
        all.push(Surveyed { name, kind: source.kind, settled, journal });
    }
    Ok(all)
}

/// Only the last segment says how far the numbers go.
fn count_journal(disk: &dyn Disk, dir: &Path, settled: &Settled) -> io::Result<Journal> {
    let mut journal = Journal { accepted: settled.last(), ..Journal::default() };
    let segments = segments_of(disk, dir)?;
    for segment in &segments {
        journal.bytes += disk.open(&segment.path, Mode::Read)?.length()?;
    }
    if let Some(last) = segments.last() {
        let file = disk.open(&last.path, Mode::Read)?;
        // A producer goes on from what is counted here, so that must last.
        file.sync(Site::JournalFound)?;
        disk.sync_dir(dir, Site::JournalFound)?;
        journal.accepted = journal.accepted.max(Ending::of(&file, last.first)?.next - 1);
    }
    journal.segments = segments.len();
    Ok(journal)
}

/// A source that was killed before it had a journal has no segments.
fn segments_of(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Segment>> {
    match segments(disk, dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        segments => segments,
    }
}

fn survey_journal(
    disk: &dyn Disk,
    dir: &Path,
    settled: &Settled,
    mut pending: impl FnMut(u64, &Text) -> io::Result<()>,
) -> io::Result<Journal> {
    let mut journal = Journal { accepted: settled.last(), ..Journal::default() };
    let mut next = settled.through() + 1;
    for segment in segments_of(disk, dir)? {
        let file = disk.open(&segment.path, Mode::Read)?;
        let length = file.length()?;
        let mut walk = Walk::new(Arc::clone(&file));
        // Up to where its batches are whole, and the number after their lines.
        let (mut end, mut after) = (0, segment.first);
        journal.bytes += length;
        journal.segments += 1;
        loop {
            match walk.next(length)? {
                Found::Batch(batch) => {
                    journal.lost.extend(gaps(next, batch.first(), settled));
                    for (seq, text) in batch.lines().filter(|(seq, _)| *seq >= next && !settled.contains(*seq)) {
                        pending(seq, &text)?;
                    }
                    next = next.max(batch.last() + 1);
                    (end, after) = (walk.offset(), batch.last() + 1);
                }
                Found::Damage(_) => {}
                Found::End => break,
            }
        }
        journal.torn = Torn::between(file.as_ref(), end, length, after)?.after(settled.last());
    }
    journal.lost.extend(gaps(next, settled.last() + 1, settled));
    journal.accepted = journal.accepted.max(next - 1);
    Ok(journal)
}

/// The lines from `from` to before `to` that are not done, from the first to the last of each gap.
fn gaps(from: u64, to: u64, settled: &Settled) -> Vec<(u64, u64)> {
    let mut gaps: Vec<(u64, u64)> = Vec::new();
    for seq in (from..to).filter(|seq| !settled.contains(*seq)) {
        match gaps.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => gaps.push((seq, seq)),
        }
    }
    gaps
}

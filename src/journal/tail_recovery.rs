//! Recovers the tail of a journal: the end of its last valid batch, and whether what follows is a torn write or damage.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::batch::{HEAD, Head, LONGEST_HEAD};
use super::keys::KeyedBatch;
use super::scan::ValidBatch;
use super::segments::read;
use super::{Scanned, SegmentScan};
use crate::disk::{DiskFile, READ_BACK};
use crate::units::counted;

/// The tail of the last segment.
#[derive(Debug)]
pub struct SegmentTail {
    /// Where its last whole batch ends.
    pub end: u64,
    /// The number after its last line.
    pub next: u64,
    /// The bytes after its last whole batch.
    pub torn: TornTail,
    /// The batches before that have keys.
    pub(super) keys: Vec<KeyedBatch>,
}

/// The bytes after the last whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TornTail {
    /// Their number. The lines of a batch that was cut short were never acknowledged as accepted.
    pub bytes: u64,
    /// Lines that may have been accepted: they are damaged, not cut short.
    pub damaged: Option<Damaged>,
}

/// Lines that were written and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The number of the first line.
    pub first: u64,
    /// The number of the last line, if a head that can be read names it.
    pub last: Option<u64>,
}

/// The end of a message: which lines the producer has to send again.
impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first;
        f.write_str("if it had been accepted, its ")?;
        match self.last {
            Some(last) if last == first => write!(f, "line {first} is lost: send it again"),
            Some(last) => {
                let lines = counted(last - first + 1, "line");
                write!(f, "{lines} ({first} to {last}) are lost: send them again")
            }
            None => write!(f, "lines from {first} on are lost: send them again"),
        }
    }
}

impl SegmentTail {
    /// Recovers the tail of a segment that begins with line `first`. Lines up to `known` were certainly accepted.
    pub fn of(file: &Arc<dyn DiskFile>, first: u64, known: u64) -> io::Result<Self> {
        let length = file.length()?;
        let (mut scan, mut reading) = (SegmentScan::new(Arc::clone(file)), READ_BACK.begin(length));
        let (mut end, mut next, mut keys) = (0, first, Vec::new());
        let mut groups = Groups { known, after_damage: false, in_doubt: None };
        loop {
            reading.reach(scan.offset());
            match scan.next(length)? {
                Scanned::Batch(batch) => {
                    keys.extend(batch.keyed());
                    if groups.is_accepted(&batch) {
                        (end, next) = (scan.offset(), batch.last() + 1);
                    }
                }
                Scanned::Damage(_) => groups.after_damage = true,
                Scanned::End => break,
            }
        }
        keys.retain(|batch| *batch.lines.end() < next);
        Ok(Self { end, next, torn: TornTail::between(file.as_ref(), end, length, next)?, keys })
    }
}

/// Which groups of batches were synced. A crash may leave any part of the last group: where a batch is whole and one
/// before it in its group is not, the group may not have been accepted. It was if another group follows, or if lines of
/// it are known.
struct Groups {
    known: u64,
    /// Whether damaged bytes came right before.
    after_damage: bool,
    /// The group that may never have been synced, by its first number.
    in_doubt: Option<u64>,
}

impl Groups {
    /// Notes the next whole batch; returns whether all batches up to it were accepted.
    fn is_accepted(&mut self, batch: &ValidBatch) -> bool {
        let group = batch.group();
        let is_damaged = std::mem::take(&mut self.after_damage) && group < batch.first();
        let is_in_doubt = (is_damaged || self.in_doubt == Some(group)) && group > self.known;
        self.in_doubt = is_in_doubt.then_some(group);
        !is_in_doubt
    }
}

impl TornTail {
    /// Examines the bytes of a segment from `end`, where line `next` would begin, to `length`.
    pub fn between(file: &dyn DiskFile, end: u64, length: u64, next: u64) -> io::Result<Self> {
        let (mut offset, mut after) = (end, next);
        let is_known = loop {
            let bytes = read(file, offset, (length - offset).min(LONGEST_HEAD as u64))?;
            match Head::read(&bytes).filter(|head| *head.seqs().start() == after) {
                Some(head) if head.whole() <= length - offset => {
                    (offset, after) = (offset + head.whole(), head.seqs().end() + 1);
                }
                Some(_) => break true,
                None => break is_cut_short(&bytes),
            }
        };
        let damaged = match is_known {
            true if after == next => None,
            true => Some(Damaged { first: next, last: Some(after - 1) }),
            false => Some(Damaged { first: next, last: None }),
        };
        Ok(Self { bytes: length - end, damaged })
    }

    /// The same tail without the lines up to `known`, which were certainly accepted.
    #[must_use]
    pub fn after(self, known: u64) -> Self {
        let in_doubt = |lines: Damaged| Damaged { first: lines.first.max(known + 1), ..lines };
        let has_lines = |lines: &Damaged| lines.last.is_none_or(|last| last >= lines.first);
        Self { damaged: self.damaged.map(in_doubt).filter(has_lines), ..self }
    }
}

/// Whether these last bytes of a file may be the beginning of a head.
fn is_cut_short(bytes: &[u8]) -> bool {
    let begins_so = HEAD.starts_with(bytes) || bytes.starts_with(HEAD);
    begins_so && bytes.len() < LONGEST_HEAD && memchr::memchr(b'\n', bytes).is_none()
}

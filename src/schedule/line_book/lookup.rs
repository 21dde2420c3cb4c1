//! Lookups of lines in the book.

use super::{LineBook, LineId};
use crate::schedule::line_report::LineKey;

impl LineBook {
    /// Lines accepted so far.
    pub fn accepted_so_far(&self) -> u64 {
        self.accepted
    }

    /// One more than the largest number that an unsettled line can have now.
    pub fn places(&self) -> LineId {
        self.lines.capacity()
    }

    /// Whether there is an unsettled line of this number.
    pub fn has(&self, id: LineId) -> bool {
        self.lines.contains(id)
    }

    /// Whether there is an unsettled line of this number that matches the key.
    pub fn is(&self, id: LineId, key: &LineKey) -> bool {
        let Some(line) = self.lines.get(id) else { return false };
        match key {
            LineKey::Ordinal(ordinal) => line.ordinal == *ordinal,
            LineKey::Identity { source, file, seq } => {
                line.seq == *seq
                    && line.file == *file
                    && self.sources.get(line.source as usize).cloned().flatten() == *source
            }
        }
    }

    /// The number of the first settled line that is not handed out.
    pub fn first_settled(&self) -> u64 {
        self.recorded
    }

    /// One more than the number of the last settled line.
    pub fn end_of_settled(&self) -> u64 {
        self.recorded + self.settled.len() as u64
    }

    /// Whether one of `lines` settled lines from this number on matches the key, and the number after them.
    pub fn is_settled(&self, key: &LineKey, from: u64, lines: usize) -> (bool, u64) {
        let skipped = usize::try_from(from.saturating_sub(self.recorded)).unwrap_or(usize::MAX);
        let some = self.settled.iter().skip(skipped).take(lines);
        (some.clone().any(|done| key.names(&done.ticket)), from + some.count() as u64)
    }
}

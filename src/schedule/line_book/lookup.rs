//! Lookups of lines in the book.

use std::time::Duration;

use super::{Counts, HostId, LineBook, LineId, Place};
use crate::schedule::line_report::LineKey;

impl LineBook {
    /// Where an unsettled line is.
    pub fn place_of(&self, id: LineId) -> Place {
        self.lines[id].place
    }

    /// When a waiting line that was on the wire before may start.
    pub fn due(&self, id: LineId) -> Option<Duration> {
        match self.lines[id].place {
            Place::Waiting { due, .. } => due,
            Place::Untracked | Place::OnWire { .. } => None,
        }
    }

    /// The host of a line that is unsettled and not [`Place::Untracked`].
    pub fn host(&self, id: LineId) -> Option<HostId> {
        match self.lines.get(id)?.place {
            Place::Waiting { host, .. } | Place::OnWire { host, .. } => Some(host),
            Place::Untracked => None,
        }
    }

    pub fn ordinal(&self, id: LineId) -> u64 {
        self.lines[id].ordinal
    }

    /// The number of the line's source.
    pub fn source(&self, id: LineId) -> usize {
        self.lines[id].source as usize
    }

    /// When the line was accepted.
    pub fn accepted(&self, id: LineId) -> Duration {
        self.lines[id].accepted
    }

    /// The unsettled line of this ordinal; scans all newer ones.
    pub fn find(&self, ordinal: u64) -> Option<LineId> {
        self.newest_first().find(|id| self.lines[*id].ordinal == ordinal)
    }

    /// All unsettled lines.
    pub fn newest_first(&self) -> impl Iterator<Item = LineId> {
        std::iter::successors(self.newest, |id| self.lines[*id].older.get())
    }

    /// The newest unsettled line.
    pub fn newest(&self) -> Option<LineId> {
        self.newest
    }

    /// The oldest unsettled line.
    pub fn oldest(&self) -> Option<LineId> {
        self.oldest
    }

    /// Lines on the wire.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The number of lines in each place. Every line accepted was handed out with its record, was handed back, was left
    /// for the next start, or is in one of these places.
    pub fn counts(&self) -> Counts {
        let (outgoing, released) = (self.settled.len(), self.released.len());
        let here = (self.waiting + self.in_flight + outgoing + released) as u64;
        assert_eq!(
            self.accepted,
            self.recorded + self.handed_back + self.left + here,
            "a line is lost in the schedule"
        );
        Counts { waiting: self.waiting, in_flight: self.in_flight, outgoing, released }
    }

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
                    && (file.is_none() || line.file == *file)
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

//! The done lines of a durable source, as ranges of sequence numbers in the checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The end of a line in a file that can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub file: Arc<FileGeneration>,
    /// The offset after the line, in bytes.
    pub end: u64,
    /// Identifies the file by its content.
    pub fingerprint: Fingerprint,
}

/// Identifies a file by its content up to a position. New fields must be optional: a position with only the prefix sum
/// is verified by that. Fields of later versions are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The CRC-32 of all bytes up to the position.
    pub prefix_sum: u32,
}

impl Position {
    /// The start of a file.
    pub fn start(file: FileGeneration) -> Self {
        Self { file: Arc::new(file), end: 0, fingerprint: Fingerprint::default() }
    }
}

/// One of the files that a path named over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileGeneration {
    /// Its device.
    pub device: u64,
    /// Its inode on the device.
    pub inode: u64,
    /// The `seq` of its first line.
    pub first: u64,
    /// The offsets at which it ended without LF when its last line was read. A line that is completed later gets
    /// another `seq`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torn: Vec<u64>,
}

/// The sequence numbers of done lines, as ranges. The gaps are lines in progress, and lines lost with their files. A
/// virtual line 0 ends where the first line begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<StoredRange<StoredPosition>>", into = "Vec<StoredRange<StoredPosition>>")]
pub struct DoneRanges {
    /// Ranges by their first number.
    ranges: BTreeMap<u64, Run>,
}

/// A range of lines without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    to: u64,
    /// The last line in the first known file, which may also have lines before the range that are not done. If it
    /// cannot, the same as `known`.
    first: Option<(u64, Position)>,
    /// The last line with a known position. Lines that were found in an output have none.
    known: Option<(u64, Position)>,
}

impl Run {
    fn new(to: u64, known: Option<(u64, Position)>) -> Self {
        Self { to, first: known.clone(), known }
    }

    /// Joins this range and the one right after it.
    fn and(self, next: Self) -> Self {
        let first = match (self.first, next.first) {
            (Some((seq, position)), Some((_, other))) if position.file != other.file => Some((seq, position)),
            (first, next) => next.or(first),
        };
        Self { to: next.to, first, known: next.known.or(self.known) }
    }
}

/// A range in the format of the checkpoint. The format of its positions depends on the version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRange<P> {
    from: u64,
    to: u64,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    first: Option<P>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    known: Option<P>,
}

/// The end of a line in the format of the checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPosition {
    seq: u64,
    file: FileGeneration,
    end: u64,
    fingerprint: Fingerprint,
}

impl From<StoredPosition> for (u64, Position) {
    fn from(StoredPosition { seq, file, end, fingerprint }: StoredPosition) -> Self {
        (seq, Position { file: Arc::new(file), end, fingerprint })
    }
}

impl DoneRanges {
    /// Adds a done line; returns whether it was new.
    pub fn insert(&mut self, seq: u64, position: Option<Position>) -> bool {
        if self.contains(seq) {
            return false;
        }
        let mut run = Run::new(seq, position.map(|position| (seq, position)));
        if let Some(next) = self.ranges.remove(&(seq + 1)) {
            run = run.and(next);
        }
        let mut from = seq;
        if let Some(before) = self.ranges.range(..seq).next_back().filter(|(_, run)| run.to + 1 == seq) {
            from = *before.0;
        }
        if let Some(before) = self.ranges.remove(&from) {
            run = before.and(run);
        }
        if from <= 1 {
            run.first.clone_from(&run.known);
        }
        self.ranges.insert(from, run);
        true
    }

    /// Whether this line is done.
    pub fn contains(&self, seq: u64) -> bool {
        self.ranges.range(..=seq).next_back().is_some_and(|(_, run)| seq <= run.to)
    }

    /// The last line up to which all lines are done; 0 if the first is not.
    pub fn through(&self) -> u64 {
        self.begun().map_or(0, |run| run.to)
    }

    fn begun(&self) -> Option<&Run> {
        self.ranges.get(&0).or_else(|| self.ranges.get(&1))
    }

    /// The last line with a known position among the done lines from this one on without a gap.
    pub fn known_from(&self, seq: u64) -> Option<&(u64, Position)> {
        let (_, run) = self.ranges.range(..=seq).next_back().filter(|(_, run)| seq <= run.to)?;
        run.known.as_ref()
    }

    /// How many lines before this one are not done.
    pub fn missing_before(&self, seq: u64) -> u64 {
        let done = self.ranges.range(..seq).map(|(from, run)| run.to.min(seq - 1) + 1 - (*from).max(1));
        seq.saturating_sub(1) - done.sum::<u64>()
    }

    /// How many lines from this one on are done.
    pub fn count_from(&self, seq: u64) -> u64 {
        self.count() - (seq.saturating_sub(1) - self.missing_before(seq))
    }

    /// The last done line; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, run)| run.to)
    }

    /// How many lines are done.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(from, run)| run.to + 1 - (*from).max(1)).sum()
    }

    /// Known positions in the order of the lines: for each range that of the last line in its first file, and the last.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        let ends = self.ranges.values().flat_map(|run| [&run.first, &run.known]);
        ends.flatten().map(|(_, position)| position)
    }
}

impl<P: Into<(u64, Position)>> From<Vec<StoredRange<P>>> for DoneRanges {
    fn from(ranges: Vec<StoredRange<P>>) -> Self {
        let run = |StoredRange { from, to, first, known }: StoredRange<P>| {
            let known = known.map(Into::into);
            (from, Run { to, first: first.map(Into::into).or(known.clone()), known })
        };
        Self { ranges: ranges.into_iter().map(run).collect() }
    }
}

impl From<DoneRanges> for Vec<StoredRange<StoredPosition>> {
    fn from(settled: DoneRanges) -> Self {
        let known = |(seq, Position { file, end, fingerprint })| {
            let file = Arc::unwrap_or_clone(file);
            StoredPosition { seq, file, end, fingerprint }
        };
        let range = |(from, Run { to, first, known: last }): (u64, Run)| {
            let first = first.filter(|first| Some(first) != last.as_ref());
            StoredRange { from, to, first: first.map(known), known: last.map(known) }
        };
        settled.ranges.into_iter().map(range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn position(end: u64) -> Position {
        let file = FileGeneration { device: 1, inode: 2, first: 1, torn: Vec::new() };
        Position { end, fingerprint: Fingerprint { prefix_sum: end as u32 + 7 }, ..Position::start(file) }
    }

    proptest! {
        #[test]
        fn ranges_hold_what_was_put_in_and_nothing_else(seqs in proptest::collection::vec(1u64..60, 0..80)) {
            let (mut settled, mut model) = (DoneRanges::default(), BTreeSet::new());
            for seq in seqs {
                // Every third line has no known position.
                let is_known = |seq: &u64| !seq.is_multiple_of(3);
                prop_assert_eq!(settled.insert(seq, is_known(&seq).then_some(position(seq * 10))), model.insert(seq));
                let through = (1..).take_while(|seq| model.contains(seq)).last().unwrap_or(0);
                prop_assert_eq!(settled.through(), through);
                let known = (1..=through).rev().find(is_known);
                let resume = settled.known_from(1).map(|(seq, position)| (*seq, position.end));
                prop_assert_eq!(resume, known.map(|seq| (seq, seq * 10)));
                prop_assert_eq!(settled.last(), model.last().copied().unwrap_or(0));
                prop_assert_eq!(settled.count(), model.len() as u64);
                for seq in 0..62 {
                    prop_assert_eq!(settled.contains(seq), model.contains(&seq));
                    let missing = (1..seq).filter(|seq| !model.contains(seq)).count() as u64;
                    prop_assert_eq!(settled.missing_before(seq), missing);
                    prop_assert_eq!(settled.count_from(seq), model.range(seq..).count() as u64);
                    let run_end = (seq..).take_while(|seq| model.contains(seq)).last();
                    let known = (1..=run_end.unwrap_or(0)).rev().take_while(|seq| model.contains(seq)).find(is_known);
                    prop_assert_eq!(settled.known_from(seq).map(|(seq, _)| *seq), known);
                }
                let gaps = model.iter().filter(|seq| !model.contains(&(*seq + 1))).count();
                prop_assert_eq!(settled.ranges.len(), gaps);
            }
            let text = serde_json::to_string(&settled).unwrap();
            prop_assert_eq!(serde_json::from_str::<DoneRanges>(&text).unwrap(), settled);
        }

        #[test]
        fn each_range_has_the_last_position_in_its_first_file(seqs in proptest::collection::vec(1u64..40, 0..40)) {
            let (mut settled, mut model) = (DoneRanges::default(), BTreeSet::new());
            for seq in seqs {
                let file = Arc::new(FileGeneration { device: 1, inode: 2, first: seq / 6, torn: Vec::new() });
                settled.insert(seq, (!seq.is_multiple_of(4)).then(|| Position { file, ..position(seq) }));
                model.insert(seq);
                let mut ends = Vec::new();
                for from in model.iter().copied().filter(|seq| !model.contains(&(seq - 1))) {
                    let range = (from..).take_while(|seq| model.contains(seq));
                    let known: Vec<u64> = range.filter(|seq| !seq.is_multiple_of(4)).collect();
                    let first = known.iter().rfind(|seq| from > 1 && **seq / 6 == known[0] / 6);
                    ends.extend(first.or(known.last()).into_iter().chain(known.last()).copied());
                }
                prop_assert_eq!(settled.positions().map(|position| position.end).collect::<Vec<_>>(), ends);
            }
            let text = serde_json::to_string(&settled).unwrap();
            prop_assert_eq!(serde_json::from_str::<DoneRanges>(&text).unwrap(), settled);
        }

        #[test]
        fn knowing_where_the_first_line_begins_changes_no_number(
            seqs in proptest::collection::vec(1u64..20, 0..20), known in 1u64..20
        ) {
            let (mut without, mut with) = (DoneRanges::default(), DoneRanges::default());
            with.ranges.insert(0, Run::new(0, Some((0, position(0)))));
            for seq in seqs {
                let end = (seq == known).then(|| position(seq));
                prop_assert_eq!(with.insert(seq, end.clone()), without.insert(seq, end));
                prop_assert_eq!((with.through(), with.last()), (without.through(), without.last()));
                prop_assert_eq!(with.count(), without.count());
                for seq in 1..22 {
                    prop_assert_eq!(with.contains(seq), without.contains(seq));
                    prop_assert_eq!(with.missing_before(seq), without.missing_before(seq));
                }
                let begin = (0, position(0));
                prop_assert_eq!(with.known_from(0), Some(without.known_from(1).unwrap_or(&begin)));
            }
        }
    }
}

//! The meter of a source: its accepted lines, its unread bytes, and how full its journal is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Extent, Source};
use crate::item::DoneRanges;

/// Values that a running source measures itself; read by other threads.
pub trait SourceGauge: fmt::Debug + Send + Sync {
    /// Unread bytes.
    fn lag(&self) -> u64;

    /// Its journal, if it has one.
    fn journal(&self) -> Option<JournalView> {
        None
    }
}

/// How full the journal of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalView {
    /// Its bytes.
    pub bytes: u64,
    /// `max_journal`
    pub most: u64,
    /// The `seq` of its last line.
    pub last_seq: u64,
    /// For how long the journal or its disk has had no room for a producer's batch, if it has none.
    pub full_for: Option<Duration>,
}

/// The lines of a source that the configuration has: the name that they carry, and which of them earlier runs have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLines {
    /// The name, where the configuration gives one.
    pub source: Option<Arc<str>>,
    /// By path, the lines that were done when this run began. A source without files has an empty path.
    pub done: Arc<BTreeMap<String, DoneRanges>>,
}

impl SourceLines {
    /// Whether an earlier run has done this line.
    pub fn were_done(&self, file: Option<&str>, seq: u64) -> bool {
        let of_path = match file {
            Some(path) => self.done.get(path),
            // The lines of a source with a single file do not name it.
            None => self.done.values().next().filter(|_| self.done.len() == 1),
        };
        of_path.is_some_and(|done| done.contains(seq))
    }

    /// How many lines earlier runs have done.
    pub fn count(&self) -> u64 {
        self.done.values().map(DoneRanges::count).sum()
    }
}

/// The values of a source's meter at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its name, or its kind if the configuration gives no name.
    pub name: Arc<str>,
    /// Its lines, if the configuration has it; those of a round are of others.
    pub known: Option<SourceLines>,
    /// Lines accepted in this run.
    pub lines: u64,
    /// Their bytes, each with its line end.
    pub bytes: u64,
    /// The `seq` of the last of them, in its file if the source reads several; 0 before the first.
    pub last_seq: u64,
    /// Unread bytes; 0 if unknown, as for a pipe.
    pub lag: u64,
    /// Its journal, if it has one.
    pub journal: Option<JournalView>,
}

impl SourceView {
    /// Lines in its journal that wait for room in the window.
    pub fn waiting_in_journal(&self) -> u64 {
        let Some(journal) = &self.journal else { return 0 };
        let done = self.known.as_ref().and_then(|known| known.done.get(""));
        let next = self.last_seq.max(done.map_or(0, DoneRanges::through)) + 1;
        (journal.last_seq + 1).saturating_sub(next).saturating_sub(done.map_or(0, |done| done.count_from(next)))
    }
}

/// The meter of a source.
#[derive(Debug)]
pub struct SourceMeter {
    name: Arc<str>,
    known: Option<SourceLines>,
    lines: AtomicU64,
    bytes: AtomicU64,
    last_seq: AtomicU64,
    extent: Option<Extent>,
    gauge: Option<Arc<dyn SourceGauge>>,
}

impl SourceMeter {
    pub(super) fn new(source: &Source) -> Self {
        let Source { name, known, extent, gauge, .. } = source;
        Self {
            name: Arc::clone(name),
            known: known.clone(),
            lines: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            last_seq: AtomicU64::new(0),
            extent: *extent,
            gauge: gauge.clone(),
        }
    }

    /// Counts an accepted line; `bytes` include its line end.
    pub fn note(&self, bytes: u64, seq: u64) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.last_seq.store(seq, Ordering::Relaxed);
    }

    /// The current values.
    pub fn view(&self) -> SourceView {
        let (lines, bytes) = (self.lines.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        let unread = || self.extent.map_or(0, |extent| extent.bytes.saturating_sub(bytes));
        let lag = self.gauge.as_ref().map_or_else(unread, |gauge| gauge.lag());
        let journal = self.gauge.as_ref().and_then(|gauge| gauge.journal());
        let last_seq = self.last_seq.load(Ordering::Relaxed);
        SourceView { name: Arc::clone(&self.name), known: self.known.clone(), lines, bytes, last_seq, lag, journal }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::super::Durability;
    use super::*;

    #[test]
    fn the_lines_of_earlier_runs_are_known_by_their_path() {
        let done = |seqs: &[u64]| {
            let mut done = DoneRanges::default();
            seqs.iter().for_each(|seq| assert!(done.insert(*seq, None)));
            done
        };
        let lines = |files: &[(&str, &[u64])]| SourceLines {
            source: None,
            done: Arc::new(files.iter().map(|(path, seqs)| ((*path).to_owned(), done(seqs))).collect()),
        };
        let one = lines(&[("a.txt", &[1, 2, 5])]);
        assert_eq!([2, 3, 5].map(|seq| one.were_done(None, seq)), [true, false, true]);
        let two = lines(&[("a.txt", &[1]), ("b.txt", &[2])]);
        assert_eq!((two.were_done(None, 1), two.were_done(Some("b.txt"), 2), two.count()), (false, true, 2));
    }

    #[test]
    fn lines_of_the_journal_wait_unless_they_were_accepted_or_done_before() {
        let view = |last_seq, done: &[u64]| {
            let mut ranges = DoneRanges::default();
            done.iter().for_each(|seq| assert!(ranges.insert(*seq, None)));
            let done = Arc::new([(String::new(), ranges)].into_iter().collect());
            let journal = JournalView { bytes: 1, most: 2, last_seq: 10, full_for: None };
            let known = Some(SourceLines { source: None, done });
            SourceView { name: "in".into(), known, lines: 0, bytes: 0, last_seq, lag: 0, journal: Some(journal) }
        };
        let waiting = |last_seq, done: &[u64]| view(last_seq, done).waiting_in_journal();
        assert_eq!([waiting(0, &[]), waiting(4, &[]), waiting(10, &[])], [10, 6, 0]);
        assert_eq!(waiting(0, &[1, 2, 3, 6]), 6, "4, 5, and 7 to 10");
        assert_eq!(waiting(5, &[1, 2, 3, 6]), 4);
        assert_eq!(SourceView { journal: None, ..view(0, &[]) }.waiting_in_journal(), 0);
    }

    #[test]
    fn the_lag_of_a_file_is_its_bytes_that_were_not_accepted() {
        let source = Source {
            extent: Some(Extent::new(100)),
            ..Source::new(futures::stream::empty().boxed(), Durability::Ephemeral)
        };
        let meter = SourceMeter::new(&source);
        meter.note(30, 7);
        meter.note(20, 8);
        let view = meter.view();
        assert_eq!((view.lines, view.bytes, view.lag, view.journal), (2, 50, 50, None));
        meter.note(60, 9);
        assert_eq!(meter.view().lag, 0, "a file that grew meanwhile");
    }
}

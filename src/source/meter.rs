//! The meter of a source: its accepted lines, its unread bytes, and how full its journal is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Extent;

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
    /// For how long the journal or its disk has had no room for a producer's batch, if it has none.
    pub full_for: Option<Duration>,
}

/// The values of a source's meter at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its name, or its kind if the configuration gives no name.
    pub name: Arc<str>,
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

/// The meter of a source.
#[derive(Debug)]
pub struct SourceMeter {
    name: Arc<str>,
    lines: AtomicU64,
    bytes: AtomicU64,
    last_seq: AtomicU64,
    extent: Option<Extent>,
    gauge: Option<Arc<dyn SourceGauge>>,
}

impl SourceMeter {
    pub(super) fn new(name: Arc<str>, extent: Option<Extent>, gauge: Option<Arc<dyn SourceGauge>>) -> Self {
        Self { name, lines: AtomicU64::new(0), bytes: AtomicU64::new(0), last_seq: AtomicU64::new(0), extent, gauge }
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
        SourceView { name: Arc::clone(&self.name), lines, bytes, last_seq, lag, journal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_of_a_file_is_its_bytes_that_were_not_accepted() {
        let meter = SourceMeter::new("list".into(), Some(Extent::new(100)), None);
        meter.note(30, 7);
        meter.note(20, 8);
        let view = meter.view();
        assert_eq!((view.lines, view.bytes, view.lag, view.journal), (2, 50, 50, None));
        meter.note(60, 9);
        assert_eq!(meter.view().lag, 0, "a file that grew meanwhile");
    }
}

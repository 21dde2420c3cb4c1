//! How full the journal of a source is: its bounds, and whether a producer is blocked or refused because of them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::meter::{JournalView, SourceGauge};
use crate::journal::SegmentIndex;
use crate::units::in_bytes;

/// The bounds of a journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most bytes of the journal.
    pub max_journal: u64,
    /// Bytes to leave free on its disk.
    pub min_free: u64,
}

/// The gauge of a source's journal.
#[derive(Debug)]
pub(super) struct JournalGauge {
    index: Arc<SegmentIndex>,
    bounds: Bounds,
    /// Since when batches do not fit, and the size of the last one.
    refused: Mutex<Option<Refused>>,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    bytes: u64,
    since: Instant,
}

impl JournalGauge {
    pub fn new(index: Arc<SegmentIndex>, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { index, bounds, refused: Mutex::new(None) })
    }

    /// Why there is no room for `bytes`; `None` if there is.
    pub fn lack_of_room(&self, bytes: u64) -> io::Result<Option<String>> {
        let Bounds { max_journal, min_free } = self.bounds;
        let (held, free, dir) = (self.index.bytes(), self.index.free()?, self.index.dir().display());
        // An empty journal accepts any batch; otherwise a line larger than `max_journal` would wait for ever.
        if held > 0 && held + bytes > max_journal {
            let (held, most) = (in_bytes(held), in_bytes(max_journal));
            return Ok(Some(format!("the journal in {dir} has {held}, and max_journal is {most}")));
        }
        let (left, least) = (in_bytes(free), in_bytes(min_free));
        let is_low = free < min_free + bytes;
        Ok(is_low.then(|| format!("the disk of {dir} has {left} left, and state.min_free is {least}")))
    }

    /// Notes that there was no room for a batch of `bytes`.
    pub fn refuse(&self, bytes: u64) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get_or_insert(Refused { bytes, since: Instant::now() }).bytes = bytes;
    }

    /// Notes that there was room for a batch.
    pub fn accept(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// For how long the journal has been full. There may be room by now although the refused producer has not retried.
    fn full_for(&self) -> Option<Duration> {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let Refused { bytes, since } = refused?;
        let is_full = self.lack_of_room(bytes).map_or(true, |lack| lack.is_some());
        is_full.then(|| since.elapsed())
    }
}

impl SourceGauge for JournalGauge {
    fn lag(&self) -> u64 {
        self.index.unread_bytes()
    }

    fn journal(&self) -> Option<JournalView> {
        let (bytes, most, last_seq) =
            (self.index.bytes(), self.bounds.max_journal, self.index.next().saturating_sub(1));
        Some(JournalView { bytes, most, last_seq, full_for: self.full_for() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::journal::{Batch, ReadBatch, Reader, Writer};

    fn batch(text: &str) -> Batch {
        let mut batch = Batch::default();
        batch.push(&crate::item::Text::Whole(text.to_owned().into()));
        batch
    }

    #[test]
    fn a_journal_is_full_while_there_is_no_room_for_the_refused_batch() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut writer = Writer::open(&disk, &dir.path().join("j"), 0, 1).unwrap().writer;
        let bounds = Bounds { max_journal: 100, min_free: 0 };
        let gauge = JournalGauge::new(Arc::clone(writer.index()), bounds);
        let is_full = || gauge.journal().unwrap().full_for.is_some();
        writer.append(&batch("http://one.test/")).unwrap();
        let held = gauge.journal().unwrap().bytes;
        assert!(held > 16 && !is_full());
        assert!(gauge.lack_of_room(100 - held).unwrap().is_none());
        assert!(gauge.lack_of_room(101 - held).unwrap().is_some());
        gauge.refuse(101 - held);
        assert!(is_full());
        gauge.accept();
        assert!(!is_full());
        gauge.refuse(101 - held);
        writer.append(&batch("http://two.test/")).unwrap();
        writer.index().trim_through(2).unwrap();
        gauge.refuse(10);
        assert!(!is_full(), "there is room for it by now, although its producer has not retried");
    }

    #[test]
    fn the_lag_is_the_bytes_that_were_accepted_and_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        // Each batch has a segment of its own.
        let mut writer = Writer::open(&disk, &dir.path().join("j"), 0, 1).unwrap().writer;
        let gauge = JournalGauge::new(Arc::clone(writer.index()), Bounds { max_journal: 1 << 20, min_free: 0 });
        assert_eq!(gauge.lag(), 0);
        writer.append(&batch("http://one.test/")).unwrap();
        let one = gauge.lag();
        writer.append(&batch("http://two.test/")).unwrap();
        assert_eq!((gauge.lag(), gauge.journal().unwrap().bytes), (2 * one, 2 * one));
        let mut reader = Reader::new(Arc::clone(writer.index()), 1);
        for left in [one, 0] {
            assert!(matches!(reader.take().unwrap(), ReadBatch::Lines(_)));
            assert_eq!(gauge.lag(), left);
        }
        writer.index().trim_through(2).unwrap();
        writer.append(&batch("http://two.test/")).unwrap();
        assert_eq!(gauge.lag(), one, "a segment that was read and deleted does not lower the lag");
    }
}

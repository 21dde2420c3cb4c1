//! Appends batches to a journal. A batch is accepted once its fsync succeeds; after a crash a torn batch is cut off.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Batch, KeyTable, KeyedBatch, Segment, SegmentIndex, SegmentTail, TornTail, segments};
use crate::disk::{Disk, DiskFile, Mode, SyncPoint, append_all};

/// The appending end of a journal.
#[derive(Debug)]
pub struct Writer {
    index: Arc<SegmentIndex>,
    file: Arc<dyn DiskFile>,
    /// Accepted bytes of the last segment.
    length: u64,
    /// The size at which a segment gets a successor.
    most: u64,
    is_torn: bool,
    /// The idempotency keys of all segments.
    keys: KeyTable,
}

/// An opened journal, with the state it was found in.
#[derive(Debug)]
pub struct OpenedJournal {
    /// The writer.
    pub writer: Writer,
    /// The bytes after the last whole batch, which were cut off.
    pub torn: TornTail,
    /// How many segments there were.
    pub segments: usize,
}

impl Writer {
    /// Opens the journal in a directory, or creates one. Line numbers up to `known` are in use already.
    /// Segments grow to about `most` bytes.
    pub fn open(disk: &Arc<dyn Disk>, dir: &Path, known: u64, most: u64) -> io::Result<OpenedJournal> {
        disk.create_dir(dir)?;
        for above in dir.ancestors().skip(1).take(2) {
            disk.sync_dir(above, SyncPoint::JournalName)?;
        }
        let mut segments = segments(disk.as_ref(), dir)?;
        for segment in &mut segments {
            segment.length = disk.open(&segment.path, Mode::Read)?.length()?;
        }
        let found = segments.len();
        if found == 0 {
            segments.push(Segment::new(dir, known + 1));
        }
        let Some(last) = segments.last_mut() else { return Err(io::Error::other("no segment")) };
        let file = disk.open(&last.path, Mode::Append)?;
        let SegmentTail { end, torn, next, keys: of_last } = SegmentTail::of(&file, last.first, known)?;
        if torn.bytes > 0 {
            file.set_len(end)?;
        }
        last.length = end;
        if found == 0 {
            disk.sync_dir(dir, SyncPoint::JournalName)?;
        } else {
            file.sync(SyncPoint::JournalFound)?;
            disk.sync_dir(dir, SyncPoint::JournalFound)?;
        }
        let mut keys = KeyTable::load(disk.as_ref(), dir)?;
        if found == 0 {
            // The segments were deleted, so their lines have to be sent again.
            keys.forget_after(known);
        }
        of_last.into_iter().for_each(|batch| keys.insert(batch));
        let index = SegmentIndex::new(Arc::clone(disk), dir.to_owned(), segments, next.max(known + 1));
        Ok(OpenedJournal {
            writer: Self { index, file, length: end, most, is_torn: false, keys },
            torn: torn.after(known),
            segments: found,
        })
    }

    /// The segment index, which the reader and the deletion of segments share.
    pub fn index(&self) -> &Arc<SegmentIndex> {
        &self.index
    }

    /// The idempotency keys of the accepted batches.
    pub fn keys(&self) -> &KeyTable {
        &self.keys
    }

    /// Accepts a batch: numbers its lines and syncs them.
    ///
    /// # Errors
    /// When the write or the fsync fails; no line of the batch is accepted then. Retry only if the disk was full, never
    /// after another error.
    pub fn append(&mut self, batch: &Batch) -> io::Result<()> {
        self.append_group(std::slice::from_ref(batch))
    }

    /// Accepts several batches with one fsync. A crash before it may leave the first of them, each whole.
    ///
    /// # Errors
    /// As for [`Self::append`], for all batches.
    pub fn append_group(&mut self, batches: &[Batch]) -> io::Result<()> {
        if batches.iter().all(|batch| batch.lines() == 0) {
            return Ok(());
        }
        let first = self.index.next();
        if self.length > 0 && self.length >= self.most {
            self.begin_segment(first)?;
        }
        if self.is_torn {
            self.file.set_len(self.length)?;
            self.is_torn = false;
        }
        let (bytes, next, keyed) = encode(batches, first);
        self.is_torn = true;
        append_all(self.file.as_ref(), &bytes, self.length)?;
        if let Err(error) = self.file.sync(SyncPoint::JournalBatch) {
            // Remove the batch: a later fsync could succeed although these bytes never reached the disk.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.is_torn = false;
        self.length += bytes.len() as u64;
        keyed.into_iter().for_each(|batch| self.keys.insert(batch));
        self.index.change(|state| {
            state.next = next;
            if let Some(last) = state.segments.back_mut() {
                last.length = self.length;
            }
        });
        Ok(())
    }

    /// Begins another segment, so that this one can be removed when its lines are done (they may be already).
    pub fn roll(&mut self) -> io::Result<()> {
        if self.length > 0 {
            self.begin_segment(self.index.next())?;
        }
        self.index.clear_up()
    }

    fn begin_segment(&mut self, first: u64) -> io::Result<()> {
        self.keys.save(self.index.disk.as_ref(), &self.index.dir)?;
        let segment = Segment::new(&self.index.dir, first);
        let file = self.index.disk.open(&segment.path, Mode::Append)?;
        // A failed attempt may have left bytes in it.
        file.set_len(0)?;
        if let Err(error) = self.index.disk.sync_dir(&self.index.dir, SyncPoint::JournalName) {
            // The next attempt has to create the file anew: the name of this one was not synced.
            let _ = self.index.disk.remove(&segment.path);
            return Err(error);
        }
        self.file = file;
        self.length = 0;
        self.is_torn = false;
        self.index.change(|state| state.segments.push_back(segment));
        Ok(())
    }
}

/// The encoded batches, the number after their last line, and the batches that have keys.
fn encode(batches: &[Batch], first: u64) -> (Vec<u8>, u64, Vec<KeyedBatch>) {
    let (mut bytes, mut next, mut keyed) = (Vec::new(), first, Vec::new());
    for batch in batches.iter().filter(|batch| batch.lines() > 0) {
        batch.encode(next, first, &mut bytes);
        let lines = next..=next + batch.lines() - 1;
        next = lines.end() + 1;
        keyed.extend(batch.key().map(|key| KeyedBatch { key: key.clone(), lines }));
    }
    (bytes, next, keyed)
}

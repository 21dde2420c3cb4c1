//! Appends batches to a journal. A batch is accepted once it is synced; a torn batch after a crash is cut off.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Batch, KeyTable, KeyedBatch, Segment, SegmentIndex, SegmentTail, TornTail, segments};
use crate::disk::{Disk, DiskFile, Mode, SyncPoint, append_all};

/// The end of a journal that is written to.
#[derive(Debug)]
pub struct Writer {
    index: Arc<SegmentIndex>,
    file: Arc<dyn DiskFile>,
    /// Bytes of the last segment that are accepted.
    length: u64,
    /// How long a segment may grow.
    most: u64,
    is_torn: bool,
    /// The keys of batches, of all segments.
    keys: KeyTable,
}

/// A journal that was opened, and what was found.
#[derive(Debug)]
pub struct OpenedJournal {
    /// Its end.
    pub writer: Writer,
    /// What came after the last whole batch, and was cut off.
    pub torn: TornTail,
    /// How many segments were there.
    pub segments: usize,
}

impl Writer {
    /// Opens the journal in a directory, and creates it if there is none. Lines up to `known` have had their numbers.
    /// Segments grow to about `most` bytes.
    ///
    /// # Errors
    /// What the system says.
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
            // Whoever deleted the segments has to send their lines again.
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

    /// What the reader, and who clears up, share with it.
    pub fn index(&self) -> &Arc<SegmentIndex> {
        &self.index
    }

    /// The keys of the batches that were accepted.
    pub fn keys(&self) -> &KeyTable {
        &self.keys
    }

    /// Accepts the lines of a batch: they are numbered, and last.
    ///
    /// # Errors
    /// What the system says; nothing of the batch is accepted then. It may be tried again if the disk was full, and must
    /// not be after any other error.
    pub fn append(&mut self, batch: &Batch) -> io::Result<()> {
        self.append_group(std::slice::from_ref(batch))
    }

    /// The same with several batches, by one sync. A crash before that may leave the first of them, each whole.
    ///
    /// # Errors
    /// The same, of all batches.
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
            // Nobody may find it whole: the next sync would say that it lasts, which it may not.
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

    /// Goes on in another segment, so that this one can be removed when its lines are done, which they may be already.
    ///
    /// # Errors
    /// What the system says.
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
        // An attempt that failed before may have left something there.
        file.set_len(0)?;
        if let Err(error) = self.index.disk.sync_dir(&self.index.dir, SyncPoint::JournalName) {
            // The next attempt has to make a name of its own: it cannot rely on one that was not synced.
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

/// The batches as they are written, the number after their lines, and those that have keys.
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

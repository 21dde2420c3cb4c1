//! Appends batches to a journal. A batch is accepted once it is synced; a torn batch after a crash is cut off.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Batch, Segment, SegmentIndex, SegmentTail, TornTail, segments};
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
        let SegmentTail { end, torn, next } = SegmentTail::of(&file, last.first)?;
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
        let index = SegmentIndex::new(Arc::clone(disk), dir.to_owned(), segments, next.max(known + 1));
        Ok(OpenedJournal {
            writer: Self { index, file, length: end, most, is_torn: false },
            torn: torn.after(known),
            segments: found,
        })
    }

    /// What the reader, and who clears up, share with it.
    pub fn index(&self) -> &Arc<SegmentIndex> {
        &self.index
    }

    /// Accepts the lines of a batch: they are numbered, and last.
    ///
    /// # Errors
    /// What the system says; nothing of the batch is accepted then. It may be tried again if the disk was full, and must
    /// not be after any other error.
    pub fn append(&mut self, batch: &Batch) -> io::Result<()> {
        if batch.lines() == 0 {
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
        let bytes = batch.encode(first);
        self.is_torn = true;
        append_all(self.file.as_ref(), &bytes, self.length)?;
        if let Err(error) = self.file.sync(SyncPoint::JournalBatch) {
            // Nobody may find it whole: the next sync would say that it lasts, which it may not.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.is_torn = false;
        self.length += bytes.len() as u64;
        self.index.change(|state| {
            state.next = first + batch.lines();
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

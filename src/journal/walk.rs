//! Walks over a segment, batch by batch. What is damaged is skipped, up to the next batch that is whole.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::{HEAD, Head};
use crate::disk::DiskFile;
use crate::item::Text;

/// Bytes read to find a head.
const PIECE: u64 = 64 << 10;

/// A walk over a segment, at some offset.
#[derive(Debug)]
pub struct Walk {
    file: Arc<dyn DiskFile>,
    offset: u64,
}

/// What stands at the offset.
#[derive(Debug)]
pub enum Found {
    /// A whole batch.
    Batch(Whole),
    /// So many bytes that are no batch, before the next one or the end.
    Damage(u64),
    /// Nothing.
    End,
}

/// A batch that is as it was written.
#[derive(Debug)]
pub struct Whole {
    head: Head,
    bytes: Bytes,
}

/// The end of the last segment.
#[derive(Debug)]
pub struct Ending {
    /// Where its last whole batch ends.
    pub end: u64,
    /// Bytes after that.
    pub torn: u64,
    /// The number after its last line.
    pub next: u64,
}

impl Ending {
    /// That of a segment that begins with line `first`.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(file: &Arc<dyn DiskFile>, first: u64) -> io::Result<Self> {
        let length = file.length()?;
        let mut walk = Walk::new(Arc::clone(file));
        let (mut end, mut next) = (0, first);
        loop {
            match walk.next(length)? {
                Found::Batch(batch) => (end, next) = (walk.offset(), batch.last() + 1),
                Found::Damage(_) => {}
                Found::End => return Ok(Self { end, torn: length - end, next }),
            }
        }
    }
}

impl Whole {
    /// The number of its first line.
    pub fn first(&self) -> u64 {
        *self.head.seqs().start()
    }

    /// The number of its last line.
    pub fn last(&self) -> u64 {
        *self.head.seqs().end()
    }

    /// Its lines with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (u64, Text)> + use<> {
        self.head.lines_of(&self.bytes)
    }
}

impl Walk {
    /// Begins at the start of a segment.
    pub fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, offset: 0 }
    }

    /// Where it is.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes over what comes next, in a segment that ends at `end`.
    ///
    /// # Errors
    /// What the system says.
    pub fn next(&mut self, end: u64) -> io::Result<Found> {
        if self.offset >= end {
            return Ok(Found::End);
        }
        if let Some(whole) = self.batch_at(self.offset, end)? {
            self.offset += whole.bytes.len() as u64;
            return Ok(Found::Batch(whole));
        }
        let start = self.offset;
        self.offset = self.next_whole(end)?;
        Ok(Found::Damage(self.offset - start))
    }

    fn batch_at(&self, offset: u64, end: u64) -> io::Result<Option<Whole>> {
        let mut bytes = self.read(offset, PIECE.min(end - offset))?;
        let Some(head) = Head::read(&bytes) else { return Ok(None) };
        let length = head.bytes.saturating_add(head.length as u64);
        if length > end - offset {
            return Ok(None);
        }
        if length > bytes.len() as u64 {
            let rest = self.read(offset + bytes.len() as u64, length - bytes.len() as u64)?;
            bytes.extend_from_slice(&rest);
        }
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        let is_whole = bytes.len() as u64 == length && head.matches(&bytes);
        Ok(is_whole.then(|| Whole { head, bytes: bytes.into() }))
    }

    /// The offset of the next batch that is whole, or the end.
    fn next_whole(&self, end: u64) -> io::Result<u64> {
        // If only lines are damaged, the head still says where they end; else a head is where a line begins.
        let bytes = self.read(self.offset, PIECE.min(end - self.offset))?;
        if let Some(head) = Head::read(&bytes) {
            let next = self.offset.saturating_add(head.bytes).saturating_add(head.length as u64);
            if next < end && self.batch_at(next, end)?.is_some() {
                return Ok(next);
            }
        }
        let start = [b"\n", HEAD].concat();
        let mut offset = self.offset;
        while offset < end {
            let bytes = self.read(offset, PIECE.min(end - offset))?;
            for place in memchr::memmem::find_iter(&bytes, &start) {
                let found = offset + place as u64 + 1;
                if self.batch_at(found, end)?.is_some() {
                    return Ok(found);
                }
            }
            if bytes.len() < start.len() {
                break;
            }
            // What is looked for may lie across two pieces.
            offset += (bytes.len() - (start.len() - 1)) as u64;
        }
        Ok(end)
    }

    /// Reads so many bytes, or up to the end of the file.
    fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

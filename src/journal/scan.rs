//! Scans a segment batch by batch. Damaged bytes are skipped, up to the next valid batch.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::{BatchLines, HEAD, Head};
use super::keys::KeyedBatch;
use super::segments::read;
use crate::disk::DiskFile;

/// Bytes read to find a head.
const PIECE: u64 = 64 << 10;

/// A scan over a segment, at some offset.
#[derive(Debug)]
pub struct SegmentScan {
    file: Arc<dyn DiskFile>,
    offset: u64,
}

/// What stands at the offset.
#[derive(Debug)]
pub enum Scanned {
    /// A whole batch.
    Batch(ValidBatch),
    /// So many bytes that are no batch, before the next one or the end.
    Damage(u64),
    /// Nothing.
    End,
}

/// A batch that is as it was written.
#[derive(Debug)]
pub struct ValidBatch {
    head: Head,
    bytes: Bytes,
}

impl ValidBatch {
    /// The number of its first line.
    pub fn first(&self) -> u64 {
        *self.head.seqs().start()
    }

    /// The number of its last line.
    pub fn last(&self) -> u64 {
        *self.head.seqs().end()
    }

    /// The first number of the group that was synced together with it.
    pub(super) fn group(&self) -> u64 {
        self.head.group
    }

    /// Itself as a batch with a key, if it has one.
    pub(super) fn keyed(&self) -> Option<KeyedBatch> {
        Some(KeyedBatch { key: self.head.key.clone()?, lines: self.head.seqs() })
    }

    /// Its lines with their numbers.
    pub fn lines(&self) -> BatchLines {
        self.head.lines_of(&self.bytes)
    }
}

impl SegmentScan {
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
    pub fn next(&mut self, end: u64) -> io::Result<Scanned> {
        if self.offset >= end {
            return Ok(Scanned::End);
        }
        if let Some(whole) = self.batch_at(self.offset, end)? {
            self.offset += whole.bytes.len() as u64;
            return Ok(Scanned::Batch(whole));
        }
        let start = self.offset;
        self.offset = self.next_whole(end)?;
        Ok(Scanned::Damage(self.offset - start))
    }

    fn batch_at(&self, offset: u64, end: u64) -> io::Result<Option<ValidBatch>> {
        let mut bytes = self.read(offset, PIECE.min(end - offset))?;
        let Some(head) = Head::read(&bytes) else { return Ok(None) };
        let length = head.whole();
        if length > end - offset {
            return Ok(None);
        }
        if length > bytes.len() as u64 {
            let rest = self.read(offset + bytes.len() as u64, length - bytes.len() as u64)?;
            bytes.extend_from_slice(&rest);
        }
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        let is_whole = bytes.len() as u64 == length && head.matches(&bytes);
        Ok(is_whole.then(|| ValidBatch { head, bytes: bytes.into() }))
    }

    /// The offset of the next batch that is whole, or the end.
    fn next_whole(&self, end: u64) -> io::Result<u64> {
        // If only lines are damaged, the head still says where they end; else a head is where a line begins.
        let bytes = self.read(self.offset, PIECE.min(end - self.offset))?;
        if let Some(head) = Head::read(&bytes) {
            let next = self.offset.saturating_add(head.whole());
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

    fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        read(self.file.as_ref(), offset, length)
    }
}

//! Scans a segment batch by batch. Damaged bytes are skipped up to the next valid batch.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::{BatchLines, HEAD, Head};
use super::keys::KeyedBatch;
use super::segments::read;
use crate::disk::DiskFile;

/// Bytes read to find a head.
const PIECE: u64 = 64 << 10;

/// A scan over a segment.
#[derive(Debug)]
pub struct SegmentScan {
    file: Arc<dyn DiskFile>,
    offset: u64,
}

/// The result of one step of a scan.
#[derive(Debug)]
pub enum Scanned {
    /// A whole batch.
    Batch(ValidBatch),
    /// This many damaged bytes before the next batch or the end.
    Damage(u64),
    /// The end of the segment.
    End,
}

/// A batch whose checksum is right.
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

    /// The first line number of the group that shares its fsync.
    pub(super) fn group(&self) -> u64 {
        self.head.group
    }

    /// Its key and line numbers, if it has a key.
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

    /// The offset of the scan in the segment.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Scans the next batch or damage of a segment that ends at `end`.
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

    /// The offset of the next whole batch, or the end.
    fn next_whole(&self, end: u64) -> io::Result<u64> {
        // If only lines are damaged, the head still has their length; else search for a head at the start of a line.
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
            // The start of a head may lie across two pieces.
            offset += (bytes.len() - (start.len() - 1)) as u64;
        }
        Ok(end)
    }

    fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        read(self.file.as_ref(), offset, length)
    }
}

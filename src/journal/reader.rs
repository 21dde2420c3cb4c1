//! Reads a journal behind its writer, in pieces of bounded size. Lines of a damaged batch are yielded as lost, so that
//! each has its record.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::scan::ValidBatch;
use super::{BatchLines, Scanned, Segment, SegmentIndex, SegmentScan};
use crate::disk::Mode;
use crate::item::Text;

/// Lost lines yielded at once.
const MOST_LOST: u64 = 1024;

/// Lines yielded at once: a short line takes more memory in the queue than in its batch.
const MOST_LINES: usize = 32 << 10;

/// Reads the lines of a journal in order.
#[derive(Debug)]
pub struct Reader {
    index: Arc<SegmentIndex>,
    /// The number of the next line.
    next: u64,
    /// The segment being read.
    at: Option<At>,
    /// A batch that was read before the lost lines in front of it were yielded.
    ahead: Option<ValidBatch>,
    /// The rest of the batch being yielded.
    rest: Option<BatchLines>,
}

/// A position in a segment.
#[derive(Debug)]
struct At {
    /// The number of the segment's first line.
    first: u64,
    scan: SegmentScan,
}

/// The result of a read.
#[derive(Debug)]
pub enum ReadBatch {
    /// Lines with their numbers, in order.
    Lines(Vec<(u64, Text)>),
    /// All accepted lines have been read.
    UpToDate,
}

impl Reader {
    /// A reader that begins with line `next`.
    pub fn new(index: Arc<SegmentIndex>, next: u64) -> Self {
        Self { index, next, at: None, ahead: None, rest: None }
    }

    /// The number of the next line.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Reads the lines of the next batch, or some of them if there are many.
    pub fn take(&mut self) -> io::Result<ReadBatch> {
        loop {
            let until = self.index.next();
            if self.next >= until {
                return Ok(ReadBatch::UpToDate);
            }
            if let Some(lines) = self.piece() {
                return Ok(ReadBatch::Lines(lines));
            }
            let ahead = match self.ahead.take() {
                None => self.next_batch()?,
                ahead => ahead,
            };
            match ahead {
                Some(batch) if batch.last() < self.next => {}
                Some(batch) if batch.first() <= self.next => self.rest = Some(batch.lines()),
                ahead => {
                    let end = ahead.as_ref().map_or(until, ValidBatch::first).min(self.next + MOST_LOST);
                    self.ahead = ahead;
                    return Ok(ReadBatch::Lines(self.lost_before(end)));
                }
            }
        }
    }

    /// The next lines of the batch being yielded.
    fn piece(&mut self) -> Option<Vec<(u64, Text)>> {
        let next = self.next;
        let lines: Vec<_> = self.rest.as_mut()?.filter(|(seq, _)| *seq >= next).take(MOST_LINES).collect();
        match lines.last() {
            Some((last, _)) => self.next = last + 1,
            None => self.rest = None,
        }
        Some(lines).filter(|lines| !lines.is_empty())
    }

    fn lost_before(&mut self, end: u64) -> Vec<(u64, Text)> {
        let from = std::mem::replace(&mut self.next, end);
        let (path, last) = (self.index.dir.display(), end - 1);
        tracing::warn!(event = "journal_damaged", %path, "the journal in {path} is damaged: lines {from} to {last} are lost");
        (from..end).map(|seq| (seq, Text::Lost)).collect()
    }

    /// The next whole batch, if there is one.
    fn next_batch(&mut self) -> io::Result<Option<ValidBatch>> {
        loop {
            let Some(at) = &mut self.at else {
                self.at = Some(self.go(|segments, next| {
                    segments.iter().rfind(|segment| segment.first <= next).or(segments.front())
                })?);
                continue;
            };
            let (first, offset) = (at.first, at.scan.offset());
            let (length, is_last) = {
                let state = self.index.state();
                let segment = state.segments.iter().find(|segment| segment.first == first);
                let is_last = state.segments.back().is_none_or(|last| last.first <= first);
                (segment.map_or(offset, |segment| segment.length), is_last)
            };
            match at.scan.next(length)? {
                Scanned::Batch(batch) => {
                    self.index.note_read(first, at.scan.offset());
                    return Ok(Some(batch));
                }
                Scanned::Damage(_) => {}
                Scanned::End if is_last => return Ok(None),
                Scanned::End => {
                    self.at = Some(self.go(|segments, _| segments.iter().find(|segment| segment.first > first))?);
                }
            }
        }
    }

    /// Opens a segment at its start.
    fn go(&self, pick: impl Fn(&VecDeque<Segment>, u64) -> Option<&Segment>) -> io::Result<At> {
        loop {
            let segment = pick(&self.index.state().segments, self.next).cloned();
            let Segment { first, path, .. } = segment.ok_or_else(|| io::Error::other("a journal has no segments"))?;
            match self.index.disk.open(&path, Mode::Read) {
                Ok(file) => return Ok(At { first, scan: SegmentScan::new(file) }),
                // Its lines were done, and it was deleted in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.index.has(first) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

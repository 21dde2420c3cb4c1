//! The tail of an output: the records after its position in the checkpoint, which list the lines done since.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::file_names::dir_of;
use super::repair::cut;
use super::rewrite::{Kept, Rewrite};
use super::scan::{self, ScannedRecord, changed};
use super::{Compress, RecordHead, RecordReader, RotatingFile};
use crate::disk::{DiskFile, OutputPosition, READ_BACK, SyncPoint};
use crate::item::Identity;

/// The records of an output after the checkpoint.
#[derive(Debug, Default)]
pub struct Tail {
    /// The files of the tail in order; the last one is the active file.
    file_tails: Vec<TailFile>,
    /// The records, each with the index of its file.
    found: Vec<(usize, ScannedRecord)>,
    /// The text of the last frame read, because its other records are read next.
    frame: Option<(usize, u64, Vec<u8>)>,
    /// Bytes of partial records that were truncated.
    pub(super) torn: u64,
}

/// A file from an offset on.
#[derive(Clone, Debug)]
pub(super) struct TailFile {
    pub file: Arc<dyn DiskFile>,
    pub number: u64,
    pub compress: Compress,
    pub from: u64,
}

impl Tail {
    /// Reads the tail, and truncates it at the first partial record.
    ///
    /// # Errors
    /// When a file cannot be read or truncated.
    pub(super) fn read(file_tails: Vec<TailFile>, reader: &dyn RecordReader) -> io::Result<Self> {
        let mut tail = Self { file_tails, found: Vec::new(), frame: None, torn: 0 };
        let length = |file_tail: &TailFile| Ok(file_tail.file.length()?.saturating_sub(file_tail.from));
        let lengths = tail.file_tails.iter().map(length).collect::<io::Result<Vec<_>>>()?;
        let readings: Vec<_> = lengths.into_iter().map(|bytes| READ_BACK.begin(bytes)).collect();
        for ((number, file_tail), reading) in tail.file_tails.iter().enumerate().zip(readings) {
            let (file, found) = (file_tail.file.as_ref(), &mut tail.found);
            let TailFile { compress, from, .. } = file_tail;
            let end = scan::read(file, *compress, reader, *from, reading, |record| found.push((number, record)))?;
            tail.torn += cut(file, end)?;
        }
        Ok(tail)
    }

    /// Adds the active file if it is not part of the tail, and fsyncs the other files because later checkpoints do not.
    pub(super) fn go_on(&mut self, output: &RotatingFile) -> io::Result<()> {
        let active = &output.active;
        for file_tail in self.file_tails.iter().filter(|file_tail| file_tail.file.id() != active.file.id()) {
            file_tail.file.sync(SyncPoint::OutputFound)?;
        }
        if self.file_tails.iter().all(|file_tail| file_tail.file.id() != active.file.id()) {
            let (file, from) = (Arc::clone(&active.file), active.file.length()?);
            self.file_tails.push(TailFile { file, number: active.number, compress: active.compress, from });
        }
        Ok(())
    }

    /// The start of the tail in each file.
    pub fn positions(&self) -> Vec<OutputPosition> {
        let position = |TailFile { file, number, from, .. }: &TailFile| OutputPosition {
            file: file.id(),
            number: *number,
            length: *from,
        };
        self.file_tails.iter().map(position).collect()
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The heads of the records with their indices.
    pub fn records(&self) -> impl Iterator<Item = (usize, &RecordHead)> {
        self.found.iter().enumerate().filter_map(|(n, (_, found))| Some((n, found.head.as_ref()?)))
    }

    /// The text of a record.
    ///
    /// # Errors
    /// When the record cannot be read any more.
    pub fn text(&mut self, number: usize) -> io::Result<&[u8]> {
        let (file_tail, ScannedRecord { place, .. }) = &self.found[number];
        let is_it = |(of, start, _): &(usize, u64, Vec<u8>)| of == file_tail && *start == place.frames.start;
        let text = match self.frame.take().filter(is_it) {
            Some((.., text)) => text,
            None => {
                let TailFile { file, compress, .. } = &self.file_tails[*file_tail];
                scan::text_of(file.as_ref(), *compress, &place.frames)?
            }
        };
        let (.., text) = self.frame.insert((*file_tail, place.frames.start, text));
        text.get(place.text.clone()).ok_or_else(changed)
    }

    /// Removes the records of these lines. Each file is rewritten from the first of them on.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn take_back(&mut self, ids: &HashSet<&Identity>, output: &RotatingFile) -> io::Result<()> {
        let rewrite = Rewrite { disk: output.disk.as_ref(), dir: &dir_of(output.path()) };
        for (number, file_tail) in self.file_tails.iter().enumerate() {
            let frames = self.frames_without(ids, number);
            if let Some(first) = frames.iter().position(|frame| frame.stays != Stays::All) {
                let start = frames[first].range.start;
                let kept = frames[first..].iter().filter_map(|frame| file_tail.kept(frame).transpose());
                rewrite.replace_end(file_tail.file.as_ref(), (file_tail.from, start), kept)?;
            }
        }
        *self = Self::read(std::mem::take(&mut self.file_tails), output.reader.as_ref())?;
        Ok(())
    }

    /// The frames of a file, and the parts to keep without the records of these lines.
    fn frames_without(&self, ids: &HashSet<&Identity>, file: usize) -> Vec<KeptFrames> {
        let stays = |record: &ScannedRecord| record.head.as_ref().is_none_or(|head| !ids.contains(&head.id));
        let records: Vec<_> = self.found.iter().filter(|(of, _)| *of == file).map(|(_, record)| record).collect();
        let mut kept: Vec<KeptFrames> = Vec::new();
        for frame in records.chunk_by(|a, b| a.place.frames == b.place.frames) {
            let parts: Vec<_> = frame.iter().filter(|record| stays(record)).map(|r| r.place.text.clone()).collect();
            let range = frame[0].place.frames.clone();
            match (kept.last_mut(), parts.len()) {
                (Some(last), all) if all == frame.len() && last.stays == Stays::All => last.range.end = range.end,
                (_, all) if all == frame.len() => kept.push(KeptFrames { range, stays: Stays::All }),
                (_, 0) => kept.push(KeptFrames { range, stays: Stays::Nothing }),
                _ => kept.push(KeptFrames { range, stays: Stays::Parts(parts) }),
            }
        }
        kept
    }
}

/// Successive frames, and the parts of them to keep.
struct KeptFrames {
    range: Range<u64>,
    stays: Stays,
}

#[derive(PartialEq, Eq)]
enum Stays {
    All,
    Nothing,
    /// These ranges of the text.
    Parts(Vec<Range<usize>>),
}

impl TailFile {
    fn kept(&self, KeptFrames { range, stays }: &KeptFrames) -> io::Result<Option<Kept>> {
        match stays {
            Stays::All => Ok(Some(Kept::Frames(range.clone()))),
            Stays::Nothing => Ok(None),
            Stays::Parts(parts) => {
                let text = scan::text_of(self.file.as_ref(), self.compress, range)?;
                let mut kept = Vec::new();
                for part in parts {
                    kept.extend_from_slice(text.get(part.clone()).ok_or_else(changed)?);
                }
                Ok(Some(Kept::New(self.compress.frame(&kept)?)))
            }
        }
    }
}

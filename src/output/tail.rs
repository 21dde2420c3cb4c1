//! The tail of an output behind the position in the checkpoint: the log of lines done after the checkpoint.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use super::repair::cut;
use super::scan::{self, ScannedRecord, TextRange, changed};
use super::{Compress, RecordHead, RecordReader, RotatingFile};
use crate::disk::{DiskFile, OutputPosition, SyncPoint};
use crate::item::Identity;

/// The end of an output.
#[derive(Debug, Default)]
pub struct Tail {
    /// The files that it is in, in their order; the last is the one that is written.
    file_tails: Vec<TailFile>,
    /// The records in it, each with the number of its file.
    found: Vec<(usize, ScannedRecord)>,
    /// The frame whose text was read last: its other records are asked for next.
    frame: Option<(usize, u64, Vec<u8>)>,
    /// Bytes that were no whole records, and were cut off.
    pub(super) torn: u64,
}

/// A file from some byte on.
#[derive(Clone, Debug)]
pub(super) struct TailFile {
    pub file: Arc<dyn DiskFile>,
    pub number: u64,
    pub compress: Compress,
    pub from: u64,
}

impl Tail {
    /// Reads the tail, and cuts it off where it is torn.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn read(file_tails: Vec<TailFile>, reader: &dyn RecordReader) -> io::Result<Self> {
        let mut tail = Self { file_tails, found: Vec::new(), frame: None, torn: 0 };
        for (number, file_tail) in tail.file_tails.iter().enumerate() {
            let (file, found) = (file_tail.file.as_ref(), &mut tail.found);
            let end =
                scan::read(file, file_tail.compress, reader, file_tail.from, |record| found.push((number, record)))?;
            tail.torn += cut(file, end)?;
        }
        Ok(tail)
    }

    /// Adds the file that is written now, if it has nothing of the tail. Nobody will ask for a sync of the others.
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

    /// Where it begins, in each of its files.
    pub fn positions(&self) -> Vec<OutputPosition> {
        let position = |TailFile { file, number, from, .. }: &TailFile| OutputPosition {
            file: file.id(),
            number: *number,
            length: *from,
        };
        self.file_tails.iter().map(position).collect()
    }

    /// How many records are in it.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The records in it, with their numbers.
    pub fn records(&self) -> impl Iterator<Item = (usize, &RecordHead)> {
        self.found.iter().enumerate().filter_map(|(n, (_, found))| Some((n, found.head.as_ref()?)))
    }

    /// The text of a record.
    ///
    /// # Errors
    /// When it cannot be read any more.
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

    /// Takes records back: their lines are not done. What comes after the first of them is written again without them.
    ///
    /// This holds all of that in memory. It comes to it after a power cut alone, and then in outputs that show less
    /// than others.
    ///
    /// # Errors
    /// What the system says.
    pub fn take_back(&mut self, ids: &HashSet<&Identity>, output: &mut RotatingFile) -> io::Result<()> {
        let is_wrong = |found: &ScannedRecord| found.head.as_ref().is_some_and(|head| ids.contains(&head.id));
        let Some((first, ScannedRecord { place: TextRange { frames, .. }, .. })) =
            self.found.iter().find(|(_, f)| is_wrong(f))
        else {
            return Ok(());
        };
        let (first, start) = (*first, frames.start);
        let mut kept = Vec::new();
        for number in 0..self.found.len() {
            let (file_tail, found) = &self.found[number];
            let is_behind = (*file_tail, found.place.frames.start) >= (first, start);
            if is_behind && !is_wrong(found) {
                kept.extend_from_slice(self.text(number)?);
            }
        }
        for (number, file_tail) in self.file_tails.iter().enumerate().skip(first) {
            cut(file_tail.file.as_ref(), if number == first { start } else { file_tail.from })?;
        }
        output.append(&kept)?;
        output.flush()?;
        *self = Self::read(std::mem::take(&mut self.file_tails), output.reader.as_ref())?;
        Ok(())
    }
}

//! What an output has behind the position that a checkpoint remembers: the log of what was done after it.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use super::Output;
use super::found::{self, Found, GONE, Place, Told};
use super::frames::Compress;
use super::repair::cut;
use crate::disk::{DiskFile, Position, Site};
use crate::item::Identity;

/// The end of an output.
#[derive(Debug, Default)]
pub struct Tail {
    /// The files that it is in, in their order; the last is the one that is written.
    stretches: Vec<Stretch>,
    /// The lines in it, each with the number of its file.
    found: Vec<(usize, Found)>,
    /// The frame whose text was read last: its other records are asked for next.
    frame: Option<(usize, u64, Vec<u8>)>,
    /// Bytes that were no whole records, and were cut off.
    pub(super) torn: u64,
}

/// A file from some byte on.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
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
    pub(super) fn read(stretches: Vec<Stretch>) -> io::Result<Self> {
        let mut tail = Self { stretches, found: Vec::new(), frame: None, torn: 0 };
        for (number, stretch) in tail.stretches.iter().enumerate() {
            let (file, found) = (stretch.file.as_ref(), &mut tail.found);
            let end = found::read(file, stretch.compress, stretch.from, |line| found.push((number, line)))?;
            tail.torn += cut(file, end)?;
        }
        Ok(tail)
    }

    /// Adds the file that is written now, if it has nothing of the tail. Nobody will ask for a sync of the others.
    pub(super) fn go_on(&mut self, output: &Output) -> io::Result<()> {
        let growing = &output.growing;
        for stretch in self.stretches.iter().filter(|stretch| stretch.file.id() != growing.file.id()) {
            stretch.file.sync(Site::OutputFound)?;
        }
        if self.stretches.iter().all(|stretch| stretch.file.id() != growing.file.id()) {
            let (file, from) = (Arc::clone(&growing.file), growing.file.length()?);
            self.stretches.push(Stretch { file, number: growing.number, compress: growing.compress, from });
        }
        Ok(())
    }

    /// Where it begins, in each of its files.
    pub fn positions(&self) -> Vec<Position> {
        let position =
            |Stretch { file, number, from, .. }: &Stretch| Position { file: file.id(), number: *number, length: *from };
        self.stretches.iter().map(position).collect()
    }

    /// How many lines are in it.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The records in it, with their numbers.
    pub(in crate::sink) fn records(&self) -> impl Iterator<Item = (usize, &Told)> {
        self.found.iter().enumerate().filter_map(|(n, (_, found))| Some((n, found.record.as_ref()?)))
    }

    /// The text of a record.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub(in crate::sink) fn text(&mut self, number: usize) -> io::Result<&[u8]> {
        let (stretch, Found { place, .. }) = &self.found[number];
        let is_it = |(of, start, _): &(usize, u64, Vec<u8>)| of == stretch && *start == place.frame.start;
        let text = match self.frame.take().filter(is_it) {
            Some((.., text)) => text,
            None => {
                let Stretch { file, compress, .. } = &self.stretches[*stretch];
                found::frame(file.as_ref(), *compress, place.frame.start)?
            }
        };
        let (.., text) = self.frame.insert((*stretch, place.frame.start, text));
        text.get(place.text.clone()).ok_or_else(|| io::Error::other(GONE))
    }

    /// Takes records back: their lines are not done. What comes after the first of them is written again without them.
    ///
    /// This holds all of that in memory. It comes to it after a power cut alone, and then in outputs that show less
    /// than others.
    ///
    /// # Errors
    /// What the system says.
    pub(in crate::sink) fn take_back(&mut self, ids: &HashSet<&Identity>, output: &mut Output) -> io::Result<()> {
        let is_wrong = |found: &Found| found.record.as_ref().is_some_and(|told| ids.contains(&told.id));
        let Some((first, Found { place: Place { frame, .. }, .. })) = self.found.iter().find(|(_, f)| is_wrong(f))
        else {
            return Ok(());
        };
        let (first, start) = (*first, frame.start);
        let mut kept = Vec::new();
        for number in 0..self.found.len() {
            let (stretch, found) = &self.found[number];
            let is_behind = (*stretch, found.place.frame.start) >= (first, start);
            if is_behind && !is_wrong(found) {
                kept.extend_from_slice(self.text(number)?);
            }
        }
        for (number, stretch) in self.stretches.iter().enumerate().skip(first) {
            cut(stretch.file.as_ref(), if number == first { start } else { stretch.from })?;
        }
        output.append(&kept)?;
        output.flush()?;
        *self = Self::read(std::mem::take(&mut self.stretches))?;
        Ok(())
    }
}

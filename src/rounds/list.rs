//! The list of a round, `DIR/rounds/N`: JSON lines sorted by (source, file, seq). Each entry has an ordinal from 1, the
//! identity of the line, and its `input`, so it can be fetched without other data.
//!
//! A list is immutable. Entries are found by binary search over the bytes because a list may be larger than memory.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::disk::{Disk, DiskFile, Mode, SyncPoint, append_all};

/// An entry of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListEntry<'a> {
    /// The position in the list, from 1.
    pub ordinal: u64,
    /// The name of the source; empty if it has none.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub source: Cow<'a, str>,
    /// The path; empty if there is none.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub file: Cow<'a, str>,
    /// The number of the line.
    pub seq: u64,
    /// The input of the line.
    #[serde(borrow)]
    pub input: &'a RawValue,
}

impl<'a> ListEntry<'a> {
    /// Parses an entry.
    ///
    /// # Errors
    /// When the list is damaged.
    pub fn of(line: &'a [u8]) -> io::Result<Self> {
        Ok(serde_json::from_slice(line)?)
    }
}

/// A complete list.
#[derive(Clone, Debug)]
pub struct RoundList {
    file: Arc<dyn DiskFile>,
    length: u64,
    lines: u64,
}

/// The position of an entry.
struct Found {
    ordinal: u64,
    /// The offset of the entry.
    at: u64,
}

impl RoundList {
    /// Opens the list of a round.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn open(disk: &dyn Disk, dir: &Path, number: u32) -> io::Result<Self> {
        let file = disk.open(&path(dir, number), Mode::Read)?;
        let mut list = Self { length: file.length()?, file, lines: 0 };
        let mut last = 0;
        // A search for a position after all entries compares the last entry last.
        list.search(|entry| {
            last = entry.ordinal;
            Ordering::Less
        })?;
        list.lines = last;
        Ok(list)
    }

    /// The number of lines.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The ordinal of a line.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn ordinal(&self, source: &str, file: &str, seq: u64) -> io::Result<Option<u64>> {
        let line = (source, file, seq);
        let found = self.search(|entry| (&*entry.source, &*entry.file, entry.seq).cmp(&line))?;
        Ok(found.map(|found| found.ordinal))
    }

    /// A reader of the entries from this ordinal on.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn read_from(&self, ordinal: u64) -> io::Result<ListReader> {
        let at = self.search(|entry| entry.ordinal.cmp(&ordinal))?.map_or(self.length, |found| found.at);
        Ok(ListReader { left: self.length - at, text: self.at(at, 64 << 10) })
    }

    /// Finds the entry for which `compare` returns `Equal`, by binary search.
    fn search(&self, mut compare: impl FnMut(&ListEntry<'_>) -> Ordering) -> io::Result<Option<Found>> {
        // The range of offsets at which the entry can begin.
        let (mut low, mut high) = (0, self.length);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = if middle == low { low } else { self.line_from(middle - 1)?.1 };
            if at >= high {
                high = middle;
                continue;
            }
            let (line, end) = self.line_from(at)?;
            let entry = ListEntry::of(&line)?;
            match compare(&entry) {
                Ordering::Less => low = end,
                Ordering::Equal => return Ok(Some(Found { ordinal: entry.ordinal, at })),
                Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// The bytes from an offset to the next LF, and the offset after that.
    fn line_from(&self, at: u64) -> io::Result<(Vec<u8>, u64)> {
        let mut line = Vec::new();
        self.at(at, 4 << 10).read_until(b'\n', &mut line)?;
        let end = at + line.len() as u64;
        if line.pop() == Some(b'\n') { Ok((line, end)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn at(&self, at: u64, piece: usize) -> BufReader<ReadAt> {
        BufReader::with_capacity(piece, ReadAt { file: Arc::clone(&self.file), at })
    }
}

/// Reads the entries of a list in order.
#[derive(Debug)]
pub struct ListReader {
    text: BufReader<ReadAt>,
    left: u64,
}

impl ListReader {
    /// Unread bytes.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The text of the next entry, without LF.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut line = Vec::new();
        self.left -= self.text.read_until(b'\n', &mut line)? as u64;
        if line.pop() == Some(b'\n') { Ok(Some(line)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[derive(Debug)]
struct ReadAt {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Read for ReadAt {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(into, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// Writes the list of a new round.
#[derive(Debug)]
pub struct ListWriter<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    number: u32,
    file: Arc<dyn DiskFile>,
    /// Entries that are not in the file yet.
    text: Vec<u8>,
    length: u64,
    lines: u64,
}

impl<'a> ListWriter<'a> {
    /// Creates the list of this round.
    pub fn begin(disk: &'a dyn Disk, dir: &'a Path, number: u32) -> io::Result<Self> {
        disk.create_dir(&lists(dir))?;
        let file = disk.open(&path(dir, number), Mode::Append)?;
        file.set_len(0)?;
        Ok(Self { disk, dir, number, file, text: Vec::new(), length: 0, lines: 0 })
    }

    /// Adds a line. Lines have to be added in (source, file, seq) order.
    pub fn push(&mut self, source: &str, file: &str, seq: u64, input: &RawValue) -> io::Result<()> {
        const PIECE: usize = 64 << 10;
        self.lines += 1;
        let (source, file) = (source.into(), file.into());
        serde_json::to_writer(&mut self.text, &ListEntry { ordinal: self.lines, source, file, seq, input })?;
        self.text.push(b'\n');
        if self.text.len() >= PIECE { self.write() } else { Ok(()) }
    }

    /// The number of lines added.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Fsyncs the list and its name. A checkpoint may open the round afterwards.
    pub fn finish(mut self) -> io::Result<RoundList> {
        self.write()?;
        self.file.sync(SyncPoint::RoundList)?;
        for dir in [&lists(self.dir), self.dir] {
            self.disk.sync_dir(dir, SyncPoint::RoundName)?;
        }
        RoundList::open(self.disk, self.dir, self.number)
    }

    /// Removes the list.
    pub fn abandon(self) -> io::Result<()> {
        self.disk.remove(&path(self.dir, self.number))
    }

    fn write(&mut self) -> io::Result<()> {
        append_all(self.file.as_ref(), &self.text, self.length)?;
        self.length += self.text.len() as u64;
        self.text.clear();
        Ok(())
    }
}

/// Removes the lists of rounds that are finished or never began.
pub fn remove_other_lists(disk: &dyn Disk, dir: &Path, open: Option<u32>) -> io::Result<()> {
    let found = match disk.list(&lists(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let open = open.map(|number| path(dir, number));
    found.iter().filter(|path| Some(*path) != open.as_ref()).try_for_each(|path| disk.remove(path))
}

/// The directory of the lists in a data directory.
fn lists(dir: &Path) -> PathBuf {
    dir.join("rounds")
}

fn path(dir: &Path, number: u32) -> PathBuf {
    lists(dir).join(number.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::RealDisk;

    type Lines = BTreeMap<(String, String, u64), String>;

    fn any_lines() -> impl Strategy<Value = Lines> {
        let name = || prop::sample::select(vec!["", "a", "ab", "b\"\n"]).prop_map(str::to_owned);
        let input = prop_oneof!["[a-z]{0,9}", Just("x".repeat(9_000))];
        prop::collection::btree_map((name(), name(), prop_oneof![0u64..30, any::<u64>()]), input, 0..60)
    }

    fn write(dir: &Path, lines: &Lines) -> RoundList {
        let mut list = ListWriter::begin(&RealDisk, dir, 2).unwrap();
        for ((source, file, seq), input) in lines {
            list.push(source, file, *seq, &serde_json::value::to_raw_value(input).unwrap()).unwrap();
        }
        assert_eq!(list.lines(), lines.len() as u64);
        list.finish().unwrap()
    }

    proptest! {
        #[test]
        fn each_line_is_found_by_its_identity_and_no_other(lines in any_lines(), other in any::<u64>()) {
            let dir = tempfile::tempdir().unwrap();
            let list = write(dir.path(), &lines);
            prop_assert_eq!(list.lines(), lines.len() as u64);
            for (ordinal, (source, file, seq)) in (1..).zip(lines.keys()) {
                prop_assert_eq!(list.ordinal(source, file, *seq).unwrap(), Some(ordinal));
                for (source, file, seq) in
                    [(source, file, *seq), (source, file, seq.wrapping_add(1)), (file, source, *seq), (source, file, other)]
                {
                    let expected = lines.keys().position(|line| (&line.0, &line.1, line.2) == (source, file, seq));
                    let found = list.ordinal(source, file, seq).unwrap();
                    prop_assert_eq!(found, expected.map(|n| n as u64 + 1));
                }
            }
        }

        #[test]
        fn it_is_read_from_each_ordinal_on(lines in any_lines()) {
            let dir = tempfile::tempdir().unwrap();
            let list = write(dir.path(), &lines);
            for from in 1..lines.len() as u64 + 2 {
                let mut reader = list.read_from(from).unwrap();
                for (ordinal, ((source, file, seq), input)) in (1..).zip(&lines).skip(from as usize - 1) {
                    let text = reader.read().unwrap().unwrap();
                    let entry = ListEntry::of(&text).unwrap();
                    let is_it = entry.ordinal == ordinal && entry.source == *source && entry.file == *file;
                    prop_assert!(is_it && entry.seq == *seq, "{:?}", entry);
                    prop_assert_eq!(&serde_json::from_str::<String>(entry.input.get()).unwrap(), input);
                }
                prop_assert!(reader.read().unwrap().is_none() && reader.left() == 0);
            }
        }
    }

    #[test]
    fn lists_of_rounds_that_are_not_open_go() {
        let dir = tempfile::tempdir().unwrap();
        remove_other_lists(&RealDisk, dir.path(), Some(2)).unwrap();
        write(dir.path(), &Lines::new());
        std::fs::write(path(dir.path(), 3), "{").unwrap();
        remove_other_lists(&RealDisk, dir.path(), Some(2)).unwrap();
        assert_eq!(RealDisk.list(&lists(dir.path())).unwrap(), [path(dir.path(), 2)]);
        remove_other_lists(&RealDisk, dir.path(), None).unwrap();
        assert!(RealDisk.list(&lists(dir.path())).unwrap().is_empty());
    }

    #[test]
    fn a_list_that_is_torn_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let list = write(dir.path(), &Lines::from([(("a".into(), "b".into(), 1), "x".into())]));
        let text = list.read_from(1).unwrap().read().unwrap().unwrap();
        std::fs::write(path(dir.path(), 2), &text[..text.len() - 1]).unwrap();
        assert!(RoundList::open(&RealDisk, dir.path(), 2).is_err());
    }
}

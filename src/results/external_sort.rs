//! An external merge sort in bounded memory. Of entries with the same key, only the one with the highest rank is kept.
//!
//! Entries that fit into memory are sorted and written as a run to a temporary file. [`FAN_IN`] runs of one level are
//! merged into one run of the next, so few files are open. A merge holds keys in memory, but no texts.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The number of runs merged into one.
const FAN_IN: usize = 32;

/// Bytes read or written at once.
const PIECE: usize = 64 << 10;

/// The rank of an entry. Of entries with the same key, the one with the highest rank is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The round of the record.
    pub round: u32,
    /// The unique position of the record among all records read.
    pub place: u64,
}

/// A sort that spills to temporary files.
#[derive(Debug)]
pub struct ExternalSort {
    /// The most bytes held in memory; a larger entry is held alone.
    limit: usize,
    /// The directory of the temporary files.
    dir: PathBuf,
    /// The concatenated keys and texts of the entries.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Runs by level; those of a level are about [`FAN_IN`] times as large as those of the level before.
    levels: Vec<Vec<Run>>,
}

/// An entry in memory: its key begins at `at`, and its text after that.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: usize,
    key: usize,
    text: usize,
    rank: Rank,
}

impl ExternalSort {
    /// A sort that holds at most `limit` bytes in memory. Its temporary files in `dir` have no names, so a killed
    /// process leaves none.
    pub fn new(limit: usize, dir: &Path) -> Self {
        Self { limit, dir: dir.to_owned(), bytes: Vec::new(), entries: Vec::new(), levels: Vec::new() }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When a temporary file cannot be written.
    pub fn push(&mut self, key: &[u8], rank: Rank, text: &[u8]) -> io::Result<()> {
        let size = key.len() + text.len();
        if self.held() + size + Self::PER_ENTRY > self.limit {
            self.spill()?;
        }
        self.make_room(size);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(text);
        self.entries.push(Entry { at, key: key.len(), text: text.len(), rank });
        Ok(())
    }

    /// Calls `each` for the kept entries in ascending order of keys, each with a reader of its text.
    ///
    /// # Errors
    /// When a temporary file cannot be written or read, and what `each` returns.
    pub fn for_each<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(&[u8], &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        self.spill()?;
        let mut merge = Merge::of(std::mem::take(&mut self.levels).into_iter().flatten())?;
        while let Some(mut newest) = merge.next()? {
            let key = std::mem::take(&mut newest.key);
            each(&key, &mut newest.text())?;
            newest.key = key;
            merge.go_on(newest)?;
        }
        Ok(())
    }

    /// The memory of an entry besides its key and text: a growing vector may have twice the capacity.
    const PER_ENTRY: usize = 2 * size_of::<Entry>();

    /// Bytes held in memory.
    fn held(&self) -> usize {
        self.bytes.len() + self.entries.len() * Self::PER_ENTRY
    }

    /// Reserves the whole limit at once: untouched pages take no memory, and growing a vector would take it twice.
    fn make_room(&mut self, size: usize) {
        if self.bytes.len() + size > self.bytes.capacity() {
            self.bytes.reserve_exact(self.limit.max(size) - self.bytes.len());
        }
    }

    /// Writes the entries in memory as a run.
    fn spill(&mut self) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let bytes = &self.bytes;
        let key = |entry: &Entry| &bytes[entry.at..entry.at + entry.key];
        self.entries.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(b.rank.cmp(&a.rank)));
        let mut run = RunWriter::new(&self.dir)?;
        for same in self.entries.chunk_by(|a, b| key(a) == key(b)) {
            let newest = same[0];
            let text = newest.at + newest.key;
            run.write_head(key(&newest), newest.rank, newest.text as u64)?;
            run.file.write_all(&bytes[text..text + newest.text])?;
        }
        self.entries.clear();
        self.bytes.clear();
        self.bytes.shrink_to(self.limit);
        self.add(run.finish()?)
    }

    /// Adds a run. A full level is merged into a run of the next level.
    fn add(&mut self, mut run: Run) -> io::Result<()> {
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < FAN_IN {
                break;
            }
            run = self.merged(level)?;
        }
        Ok(())
    }

    /// Merges all runs of a level.
    fn merged(&mut self, level: usize) -> io::Result<Run> {
        let mut merge = Merge::of(std::mem::take(&mut self.levels[level]).into_iter())?;
        let mut to = RunWriter::new(&self.dir)?;
        while let Some(mut newest) = merge.next()? {
            to.write_head(&newest.key, newest.rank, newest.unread)?;
            io::copy(&mut newest.text(), &mut to.file)?;
            merge.go_on(newest)?;
        }
        to.finish()
    }
}

/// Sorted entries in a temporary file, each key once.
#[derive(Debug)]
struct Run(File);

/// Writes a run. An entry is the lengths of key and text, the rank, the key and the text.
struct RunWriter {
    file: BufWriter<File>,
}

impl RunWriter {
    fn new(dir: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(dir).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot create a temporary file in {}: {error}", dir.display()))
        })?;
        Ok(Self { file: BufWriter::with_capacity(PIECE, file) })
    }

    fn write_head(&mut self, key: &[u8], Rank { round, place }: Rank, text: u64) -> io::Result<()> {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&(key.len() as u64).to_le_bytes());
        head[8..16].copy_from_slice(&text.to_le_bytes());
        head[16..24].copy_from_slice(&place.to_le_bytes());
        head[24..].copy_from_slice(&round.to_le_bytes());
        self.file.write_all(&head)?;
        self.file.write_all(key)
    }

    fn finish(self) -> io::Result<Run> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Run(file))
    }
}

/// Bytes before the key of an entry in a run.
const HEAD: usize = 28;

/// Reads a run; positioned at an entry.
struct RunReader {
    file: BufReader<File>,
    key: Vec<u8>,
    rank: Rank,
    /// Unread bytes of the entry's text.
    unread: u64,
}

impl RunReader {
    /// Opens a run at its first entry; `None` if it has no entries.
    fn begin(Run(file): Run) -> io::Result<Option<Self>> {
        let file = BufReader::with_capacity(PIECE, file);
        let reader = Self { file, key: Vec::new(), rank: Rank { round: 0, place: 0 }, unread: 0 };
        reader.next()
    }

    /// Moves to the next entry; `None` at the end.
    fn next(mut self) -> io::Result<Option<Self>> {
        io::copy(&mut self.text(), &mut io::sink())?;
        if io::BufRead::fill_buf(&mut self.file)?.is_empty() {
            return Ok(None);
        }
        let mut word = [0; 8];
        let mut number = |file: &mut BufReader<File>| file.read_exact(&mut word).map(|()| u64::from_le_bytes(word));
        let (key, text, place) = (number(&mut self.file)?, number(&mut self.file)?, number(&mut self.file)?);
        let mut round = [0; 4];
        self.file.read_exact(&mut round)?;
        self.key.resize(usize::try_from(key).map_err(io::Error::other)?, 0);
        self.file.read_exact(&mut self.key)?;
        (self.rank, self.unread) = (Rank { round: u32::from_le_bytes(round), place }, text);
        Ok(Some(self))
    }

    fn text(&mut self) -> Text<'_> {
        Text(self)
    }
}

/// The unread text of the current entry.
struct Text<'a>(&'a mut RunReader);

impl Read for Text<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = (&mut self.0.file).take(self.0.unread).read(into)?;
        if n == 0 && self.0.unread > 0 && !into.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.unread -= n as u64;
        Ok(n)
    }
}

/// The greatest reader is the one whose entry comes first.
impl Ord for RunReader {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key).then(self.rank.cmp(&other.rank))
    }
}

impl PartialOrd for RunReader {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RunReader {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for RunReader {}

/// A merge of several runs.
struct Merge(BinaryHeap<RunReader>);

impl Merge {
    fn of(runs: impl Iterator<Item = Run>) -> io::Result<Self> {
        runs.filter_map(|run| RunReader::begin(run).transpose()).collect::<io::Result<_>>().map(Self)
    }

    /// The run at the next kept entry; other runs skip its key. The caller returns the run with `go_on`.
    fn next(&mut self) -> io::Result<Option<RunReader>> {
        let Some(newest) = self.0.pop() else { return Ok(None) };
        while self.0.peek().is_some_and(|other| other.key == newest.key) {
            let other = self.0.pop().map(RunReader::next).transpose()?;
            self.0.extend(other.flatten());
        }
        Ok(Some(newest))
    }

    fn go_on(&mut self, run: RunReader) -> io::Result<()> {
        self.0.extend(run.next()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Keys, and the parts of their texts that were read.
    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    /// The highest rank of each key, and its text.
    type Model = BTreeMap<Vec<u8>, (Rank, Vec<u8>)>;

    /// The entries in order according to a sort with this limit, and according to a map.
    fn sorted(limit: usize, entries: &[(Vec<u8>, u32, Vec<u8>)]) -> (Pairs, Model, usize) {
        let dir = tempfile::tempdir().unwrap();
        let (mut sort, mut model) = (ExternalSort::new(limit, dir.path()), Model::new());
        for (place, (key, round, text)) in (0..).zip(entries) {
            let rank = Rank { round: *round, place };
            sort.push(key, rank, text).unwrap();
            let alone = key.len() + text.len() + ExternalSort::PER_ENTRY;
            assert!(sort.held() <= limit.max(alone) && sort.bytes.capacity() <= limit.max(alone));
            let newest = model.entry(key.clone()).or_insert((rank, text.clone()));
            if newest.0 < rank {
                *newest = (rank, text.clone());
            }
        }
        let levels = sort.levels.len();
        let mut found = Vec::new();
        let read = |key: &[u8], text: &mut dyn Read| {
            let mut all = Vec::new();
            // Some texts are read in part, and some not at all.
            match key.len() % 3 {
                0 => drop(text.read(&mut [0])?),
                1 => {}
                _ => drop(text.read_to_end(&mut all)?),
            }
            found.push((key.to_owned(), all));
            io::Result::Ok(())
        };
        sort.for_each(read).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        (found, model, levels)
    }

    fn agree(found: &Pairs, model: Model) {
        let read = |key: &Vec<u8>, text: Vec<u8>| if key.len() % 3 == 2 { text } else { Vec::new() };
        let model: Pairs = model.into_iter().map(|(key, (_, text))| (key.clone(), read(&key, text))).collect();
        assert_eq!(*found, model);
    }

    proptest! {
        #[test]
        fn whatever_the_limit_the_newest_of_each_key_comes_in_order(
            limit in 0usize..2000,
            entries in prop::collection::vec(
                (prop::collection::vec(0u8..3, 0..6), 0u32..3, prop::collection::vec(any::<u8>(), 0..90)), 0..300
            ),
        ) {
            let (found, model, _) = sorted(limit, &entries);
            agree(&found, model);
        }
    }

    #[test]
    fn many_runs_are_merged_over_several_levels_and_the_limit_holds() {
        let mut random = fastrand::Rng::with_seed(7);
        let entry = |n: u32| {
            let key = random.u32(..4000).to_be_bytes()[..2 + random.usize(..3)].to_vec();
            (key, random.u32(..5), n.to_be_bytes().repeat(5))
        };
        let entries: Vec<_> = (0..12_000).map(entry).collect();
        let (found, model, levels) = sorted(1000, &entries);
        assert!(levels >= 3, "{levels}");
        agree(&found, model);
    }
}

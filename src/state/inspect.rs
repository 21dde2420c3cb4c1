//! Reads a data directory without changing it, even during a run, for the commands of `fetchd state`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checkpoint, OpenRound};
use crate::disk::{Disk, DiskFile, Mode, SyncPoint};
use crate::error::{AtPath, BoxError};
use crate::item::{DoneRanges, Text};
use crate::journal::{Scanned, Segment, SegmentScan, SegmentTail, TornTail, segments};
use crate::rounds::RoundList;

/// The state of a durable source in its checkpoint and journal.
#[derive(Debug)]
pub struct SourceStatus {
    /// The name of the source; empty if it has none.
    pub name: String,
    /// The kind of the source.
    pub kind: String,
    /// Lines done in the checkpoint; the outputs may have more.
    pub settled: u64,
    /// The state of the journal, if there is one.
    pub journal: Option<WalStatus>,
}

/// The state of a journal.
#[derive(Debug, Default)]
pub struct WalStatus {
    /// Lines accepted since the journal was created, including deleted ones.
    pub accepted: u64,
    /// Bytes of the segments.
    pub bytes: u64,
    /// The number of segments.
    pub segments: usize,
    /// Lines that are accepted, not done, and unreadable: the first and the last of each gap.
    pub lost: Vec<(u64, u64)>,
    /// The torn tail after the last whole batch, which the next run truncates.
    pub torn: TornTail,
}

impl WalStatus {
    /// Whether the journal was deleted: one that had lines always has a segment. The number of accepted lines is then
    /// unknown.
    pub fn is_gone(&self) -> bool {
        self.segments == 0 && self.accepted > 0
    }
}

impl SourceStatus {
    /// Lines that are accepted and not done in the checkpoint.
    pub fn pending(&self) -> Option<u64> {
        self.journal.as_ref().map(|journal| journal.accepted.saturating_sub(self.settled))
    }
}

/// The state of an open round.
#[derive(Debug)]
pub struct RoundStatus {
    /// The number of the round.
    pub number: u32,
    /// The selection of its lines.
    pub selection: String,
    /// The number of lines.
    pub lines: u64,
    /// Lines done in the checkpoint; the outputs may have more.
    pub done: u64,
}

/// The open round, if there is one.
///
/// # Errors
/// When the checkpoint, or the list of the round, cannot be read.
pub fn round(disk: &dyn Disk, dir: &Path) -> Result<Option<RoundStatus>, BoxError> {
    let Some(OpenRound { number, selection, done }) = load(disk, dir)?.round else { return Ok(None) };
    match RoundList::open(disk, dir, number) {
        Ok(list) => Ok(Some(RoundStatus { number, selection, lines: list.lines(), done: done.count() })),
        // A run has just finished the round.
        Err(_) if load(disk, dir)?.round.is_none_or(|round| round.number != number) => Ok(None),
        Err(error) => Err(AtPath::new(&dir.join("rounds").join(number.to_string()), error).into()),
    }
}

/// Counts the lines of all durable sources; reads only the last segment of each journal.
///
/// # Errors
/// When the checkpoint, or a journal, cannot be read.
pub fn count(disk: &dyn Disk, dir: &Path) -> Result<Vec<SourceStatus>, BoxError> {
    look(disk, dir, count_wal)
}

/// Scans the journals of all durable sources. Calls `pending` for each accepted line that is not done, with the name of
/// its source and its number.
///
/// # Errors
/// When the checkpoint, or a journal, cannot be read.
pub fn inspect(
    disk: &dyn Disk,
    dir: &Path,
    mut pending: impl FnMut(&str, u64, &Text) -> io::Result<()>,
) -> Result<Vec<SourceStatus>, BoxError> {
    look(disk, dir, |live| inspect_wal(live, |seq, text| pending(live.name, seq, text)))
}

/// A journal whose segments a run may delete during the scan. A run deletes a segment only after a checkpoint marks its
/// lines as done, so a checkpoint read later contains them.
struct LiveState<'a> {
    disk: &'a dyn Disk,
    /// The data directory.
    state: &'a Path,
    /// The name of the source.
    name: &'a str,
    /// The directory of the segments.
    dir: PathBuf,
    /// The last done line of the first checkpoint read. Segments listed later contain every line before it that is not
    /// done.
    known: u64,
}

fn look(
    disk: &dyn Disk,
    dir: &Path,
    mut journal: impl FnMut(&LiveState<'_>) -> Result<(WalStatus, DoneRanges), BoxError>,
) -> Result<Vec<SourceStatus>, BoxError> {
    let mut all = Vec::new();
    for (name, source) in load(disk, dir)?.sources {
        let (settled, journal) = match source.kind.as_str() {
            // The kinds with a journal.
            "stdin" | "http" => {
                let known = source.files.get("").map_or(0, DoneRanges::last);
                let of_name = dir.join("journal").join(&name);
                let (journal, settled) = journal(&LiveState { disk, state: dir, name: &name, dir: of_name, known })?;
                (settled.count(), Some(journal))
            }
            _ => (source.files.values().map(DoneRanges::count).sum(), None),
        };
        all.push(SourceStatus { name, kind: source.kind, settled, journal });
    }
    Ok(all)
}

fn load(disk: &dyn Disk, dir: &Path) -> Result<Checkpoint, BoxError> {
    Checkpoint::load(disk, dir)?.ok_or_else(|| {
        format!("there is no state in {}; give the data_dir of a run that has begun", dir.display()).into()
    })
}

impl LiveState<'_> {
    /// The lines done in the current checkpoint.
    fn settled(&self) -> Result<DoneRanges, BoxError> {
        let mut sources = load(self.disk, self.state)?.sources;
        Ok(sources.get_mut(self.name).and_then(|source| source.files.remove("")).unwrap_or_default())
    }

    /// The segments; none if the source was killed before it created a journal.
    fn segments(&self) -> Result<Vec<Segment>, BoxError> {
        match segments(self.disk, &self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            segments => Ok(segments.map_err(|error| self.at(error))?),
        }
    }

    /// Opens a segment; `None` if it was deleted.
    fn open(&self, segment: &Segment) -> Result<Option<Arc<dyn DiskFile>>, BoxError> {
        match self.disk.open(&segment.path, Mode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => Ok(Some(file.map_err(|error| self.at(error))?)),
        }
    }

    fn at(&self, error: io::Error) -> AtPath {
        AtPath::new(&self.dir, error)
    }
}

/// Counts accepted lines by the last segment.
fn count_wal(live: &LiveState<'_>) -> Result<(WalStatus, DoneRanges), BoxError> {
    let segments = live.segments()?;
    let mut journal = WalStatus { segments: segments.len(), ..WalStatus::default() };
    for segment in &segments {
        let Some(file) = live.open(segment)? else { continue };
        journal.bytes += file.length().map_err(|error| live.at(error))?;
    }
    if let Some(last) = segments.last()
        && let Some(file) = live.open(last)?
    {
        let accepted = || -> io::Result<u64> {
            // Producers rely on this count, so the lines must be durable. The name is, since before the first line.
            file.sync(SyncPoint::JournalFound)?;
            Ok(SegmentTail::of(&file, last.first, live.known)?.next - 1)
        };
        journal.accepted = accepted().map_err(|error| live.at(error))?;
    }
    let settled = live.settled()?;
    journal.accepted = journal.accepted.max(settled.last());
    Ok((journal, settled))
}

/// The state of a scan over all segments.
struct WalInspection {
    journal: WalStatus,
    settled: DoneRanges,
    /// The number after the lines that were scanned, done or lost.
    next: u64,
}

fn inspect_wal(
    live: &LiveState<'_>,
    mut pending: impl FnMut(u64, &Text) -> io::Result<()>,
) -> Result<(WalStatus, DoneRanges), BoxError> {
    let segments = live.segments()?;
    let settled = live.settled()?;
    let journal = WalStatus { segments: segments.len(), ..WalStatus::default() };
    let mut inspect = WalInspection { next: settled.through() + 1, journal, settled };
    let last = segments.last().map(|last| last.first);
    for segment in &segments {
        let Some(file) = live.open(segment)? else {
            inspect.settled = live.settled()?;
            continue;
        };
        let read = match last == Some(segment.first) {
            true => inspect.read_last(segment, &file, &mut pending),
            false => file.length().and_then(|end| inspect.read(segment, &file, end, &mut pending)),
        };
        read.map_err(|error| live.at(error))?;
    }
    inspect.lose_before(live.known + 1);
    let WalInspection { mut journal, settled, next } = inspect;
    journal.accepted = settled.last().max(next - 1);
    Ok((journal, settled))
}

impl WalInspection {
    /// Reads a segment up to `end`.
    fn read(
        &mut self,
        segment: &Segment,
        file: &Arc<dyn DiskFile>,
        end: u64,
        pending: &mut impl FnMut(u64, &Text) -> io::Result<()>,
    ) -> io::Result<()> {
        // All lines before the number in its name were accepted, even if none are left.
        self.lose_before(segment.first);
        self.journal.bytes += file.length()?;
        let mut scan = SegmentScan::new(Arc::clone(file));
        loop {
            match scan.next(end)? {
                Scanned::Batch(batch) => {
                    self.lose_before(batch.first());
                    let is_open = |seq: u64| seq >= self.next && !self.settled.contains(seq);
                    for (seq, text) in batch.lines().filter(|(seq, _)| is_open(*seq)) {
                        pending(seq, &text)?;
                    }
                    self.next = self.next.max(batch.last() + 1);
                }
                Scanned::Damage(_) => {}
                Scanned::End => return Ok(()),
            }
        }
    }

    /// Reads the last segment without its torn tail.
    fn read_last(
        &mut self,
        segment: &Segment,
        file: &Arc<dyn DiskFile>,
        pending: &mut impl FnMut(u64, &Text) -> io::Result<()>,
    ) -> io::Result<()> {
        let known = self.settled.last();
        let SegmentTail { end, torn, .. } = SegmentTail::of(file, segment.first, known)?;
        self.journal.torn = torn.after(known);
        self.read(segment, file, end, pending)
    }

    /// Counts lines before this one as lost, unless they were scanned or are done.
    fn lose_before(&mut self, seq: u64) {
        for seq in (self.next..seq).filter(|seq| !self.settled.contains(*seq)) {
            match self.journal.lost.last_mut() {
                Some((_, last)) if *last + 1 == seq => *last = seq,
                _ => self.journal.lost.push((seq, seq)),
            }
        }
        self.next = self.next.max(seq);
    }
}

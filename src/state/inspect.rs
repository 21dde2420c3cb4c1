//! Reads a data directory without changing it, also while a run uses it: the commands of `fetchd state`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checkpoint, OpenRound};
use crate::disk::{Disk, DiskFile, Mode, SyncPoint};
use crate::error::{AtPath, BoxError};
use crate::item::{DoneRanges, Text};
use crate::journal::{Scanned, Segment, SegmentScan, SegmentTail, TornTail, segments};
use crate::rounds::RoundList;

/// A durable source, as its checkpoint and its journal show it.
#[derive(Debug)]
pub struct SourceStatus {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Lines that are done, as the checkpoint knows; the outputs may know of more.
    pub settled: u64,
    /// Its journal, if it has one.
    pub journal: Option<WalStatus>,
}

/// A journal.
#[derive(Debug, Default)]
pub struct WalStatus {
    /// Lines accepted since it was begun, those included that are deleted because they are done.
    pub accepted: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// How many segments it has.
    pub segments: usize,
    /// Lines that are accepted, not done, and cannot be read: from the first to the last of each gap.
    pub lost: Vec<(u64, u64)>,
    /// What comes after the last whole batch, and the next run cuts off.
    pub torn: TornTail,
}

impl WalStatus {
    /// Whether all of it was deleted: a journal that had lines has a segment for good. How many were accepted
    /// cannot be known then.
    pub fn is_gone(&self) -> bool {
        self.segments == 0 && self.accepted > 0
    }
}

impl SourceStatus {
    /// Lines that are accepted and not done, as far as the checkpoint knows.
    pub fn pending(&self) -> Option<u64> {
        self.journal.as_ref().map(|journal| journal.accepted.saturating_sub(self.settled))
    }
}

/// A round that is open.
#[derive(Debug)]
pub struct RoundStatus {
    /// Its number.
    pub number: u32,
    /// What selected its lines.
    pub selection: String,
    /// How many lines it has.
    pub lines: u64,
    /// How many of them are done, as the checkpoint knows; the outputs may know of more.
    pub done: u64,
}

/// The round that is open, if one is.
///
/// # Errors
/// When the checkpoint, or the list of the round, cannot be read.
pub fn round(disk: &dyn Disk, dir: &Path) -> Result<Option<RoundStatus>, BoxError> {
    let Some(OpenRound { number, selection, done }) = load(disk, dir)?.round else { return Ok(None) };
    match RoundList::open(disk, dir, number) {
        Ok(list) => Ok(Some(RoundStatus { number, selection, lines: list.lines(), done: done.count() })),
        // A run has just finished it.
        Err(_) if load(disk, dir)?.round.is_none_or(|round| round.number != number) => Ok(None),
        Err(error) => Err(AtPath::new(&dir.join("rounds").join(number.to_string()), error).into()),
    }
}

/// Looks at all durable sources, and at no more of their journals than it must to count.
///
/// # Errors
/// When the checkpoint, or a journal, cannot be read.
pub fn count(disk: &dyn Disk, dir: &Path) -> Result<Vec<SourceStatus>, BoxError> {
    look(disk, dir, count_wal)
}

/// Looks at all of all durable sources. Each line that is accepted and not done is shown to `pending`, with the name of
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

/// A journal of which a run may delete segments meanwhile. It does so only when a checkpoint says that their lines are
/// done, so what is not there any more is in the checkpoint that is read after that.
struct LiveState<'a> {
    disk: &'a dyn Disk,
    /// The data directory.
    state: &'a Path,
    /// The source's name.
    name: &'a str,
    /// Where the segments are.
    dir: PathBuf,
    /// The last line that was done when it was first looked at. The segments that are found later have all before it.
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
            // The kinds that keep their lines in a journal.
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
    /// The lines that are done by now.
    fn settled(&self) -> Result<DoneRanges, BoxError> {
        let mut sources = load(self.disk, self.state)?.sources;
        Ok(sources.get_mut(self.name).and_then(|source| source.files.remove("")).unwrap_or_default())
    }

    /// The segments; a source that was killed before it had a journal has none.
    fn segments(&self) -> Result<Vec<Segment>, BoxError> {
        match segments(self.disk, &self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            segments => Ok(segments.map_err(|error| self.at(error))?),
        }
    }

    /// A segment; `None` when it is gone.
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

/// Only the last segment says how far the numbers go.
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
            // A producer goes on from what is counted here, so that must last. Its name did so before it had lines.
            file.sync(SyncPoint::JournalFound)?;
            Ok(SegmentTail::of(&file, last.first, live.known)?.next - 1)
        };
        journal.accepted = accepted().map_err(|error| live.at(error))?;
    }
    let settled = live.settled()?;
    journal.accepted = journal.accepted.max(settled.last());
    Ok((journal, settled))
}

/// A scan over all segments.
struct WalInspection {
    journal: WalStatus,
    settled: DoneRanges,
    /// The number after the lines that were seen, or are known to be done or lost.
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
        // Its name says that all before it were accepted, also when nothing is left of them.
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

    /// Reads the last segment, without what the next run cuts off.
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

    /// Lines before this one that were not seen are lost, unless they are done.
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

//! The generations in a checkpoint, and the files on disk that match them. Next: `resume`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::fingerprint::Prefix;
use super::generation::{Generation, PendingFile, Progress, ResumePoint};
use super::partial_line;
use super::rotation::{self, Sibling, Siblings, Status};
use crate::disk::{DiskFile, FileId};
use crate::item::{DoneRanges, FileGeneration, Position};

/// A generation, with what follows from the lines that are done.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub generation: Generation,
    /// The furthest position of a line that is done.
    pub furthest: Option<Position>,
    /// The number of the next generation's first line, if that is begun.
    pub next: Option<u64>,
    /// Whether nothing of it is left to read.
    pub is_done: bool,
    /// Whether its file was truncated and became a later generation.
    is_truncated: bool,
}

impl Known {
    /// The saved generations, and those of which only lines that are done exist: fetchd 0.1.0 and early version 2
    /// checkpoints saved no generations.
    pub fn all(saved: &[Generation], settled: &DoneRanges) -> Vec<Self> {
        let furthest = furthest(settled);
        let mut generations = saved.to_vec();
        for position in &furthest {
            add(&mut generations, position);
        }
        let known = |(place, generation): (usize, &Generation)| {
            let next = generations[place + 1..].iter().find_map(Generation::first);
            let is_next_the_same = next.is_some() && next == generation.first();
            let is_here = |position: &&&Position| !is_next_the_same && Some(position.file.first) == generation.first();
            let is_done = match (generation.progress, next) {
                // A generation that was empty when its successor was begun has no line.
                (Progress::Earlier, _) | (Progress::Seen, Some(_)) => true,
                (Progress::Begun(first) | Progress::Gone(first), Some(next)) => {
                    settled.missing_before(first) == settled.missing_before(next)
                }
                (_, None) => false,
            };
            let furthest = furthest.iter().find(is_here).map(|position| Position::clone(position));
            let is_truncated = generations[place + 1..].iter().any(|later| later.file == generation.file);
            Self { generation: generation.clone(), furthest, next, is_done, is_truncated }
        };
        generations.iter().enumerate().map(known).collect()
    }

    /// Whether there is a checksum of its content.
    fn is_content_known(&self) -> bool {
        self.generation.head.length > 0 || self.furthest.as_ref().is_some_and(|position| position.end > 0)
    }

    /// Its file, to be read from the point up to which all lines are done.
    pub fn pending(&self, file: Arc<dyn DiskFile>, settled: &DoneRanges) -> io::Result<PendingFile> {
        let begin = self.begin(file.as_ref(), settled)?;
        let progress = self.generation.first().map_or(self.generation.progress, Progress::Begun);
        let generation = Generation { file: file.id(), progress, ..self.generation.clone() };
        let last = self.next.map(|next| next - 1);
        Ok(PendingFile { generation, file: Some(file), begin, last, since: None })
    }

    fn begin(&self, file: &dyn DiskFile, settled: &DoneRanges) -> io::Result<ResumePoint> {
        let Some(first) = self.generation.first() else { return Ok(ResumePoint::New(0)) };
        let FileId { device, inode } = file.id();
        let Some(furthest) = &self.furthest else {
            return Ok(ResumePoint::Start(Arc::new(FileGeneration { device, inode, first, torn: Vec::new() })));
        };
        let mut generation = partial_line::noted(file, furthest)?;
        if generation.inode != inode {
            // The file is a copy.
            generation = Arc::new(FileGeneration { device, inode, ..FileGeneration::clone(&generation) });
        }
        match settled.known_from(first) {
            Some((seq, position)) if position.file.first == first => {
                let (seq, position) = partial_line::before(file, *seq, Position { file: generation, ..*position })?;
                Ok(ResumePoint::After(seq, position))
            }
            _ => Ok(ResumePoint::Start(generation)),
        }
    }
}

/// The furthest known position of each generation, in the order of their lines.
fn furthest(settled: &DoneRanges) -> Vec<&Position> {
    let mut furthest: Vec<&Position> = Vec::new();
    for position in settled.positions() {
        furthest.retain(|before| before.file.first != position.file.first);
        furthest.push(position);
    }
    furthest
}

/// Adds the generation of a position, if it is missing.
fn add(generations: &mut Vec<Generation>, position: &Position) {
    let FileGeneration { device, inode, first, .. } = *position.file;
    if generations.iter().any(|generation| generation.first() == Some(first)) {
        return;
    }
    let is_later = |generation: &Generation| match generation.progress {
        Progress::Earlier => false,
        Progress::Seen => true,
        Progress::Begun(other) | Progress::Gone(other) => other > first,
    };
    let place = generations.iter().position(is_later).unwrap_or(generations.len());
    let (file, progress) = (FileId { device, inode }, Progress::Begun(first));
    let generation = Generation { file, head: Prefix::default(), modified: None, length: position.end, progress };
    generations.insert(place, generation);
}

/// A file that matches a generation, and its status.
pub(super) type Found = (Arc<dyn DiskFile>, Status);

/// A way to find the files that match a generation.
type Way = fn(&Directory, &Known) -> io::Result<Vec<Found>>;

/// The file at a path, and those next to it.
#[derive(Debug)]
pub(super) struct Directory {
    pub here: Option<Found>,
    pub siblings: Siblings,
}

impl Directory {
    /// Reads the directory of a path; a missing one counts as empty.
    pub fn read(path: &Path, inodes: &[u64]) -> io::Result<Self> {
        let here = rotation::open_with_status(path)?;
        let siblings = match Siblings::of(path, inodes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Siblings::default(),
            siblings => siblings?,
        };
        Ok(Self { here, siblings })
    }

    /// Whether both have the same names for the same files.
    pub fn is_as(&self, other: &Self) -> bool {
        self.here_id() == other.here_id() && self.siblings.is_as(&other.siblings)
    }

    /// The file at the path.
    pub fn here_id(&self) -> Option<FileId> {
        self.here.as_ref().map(|(_, status)| status.id)
    }

    /// Finds the files of the generations that are not done, each file once.
    pub fn locate(&self, known: &[Known]) -> io::Result<Vec<Option<Found>>> {
        let mut found: Vec<Option<Found>> = vec![None; known.len()];
        let mut taken = self.done(known)?;
        // The strongest evidence first: inodes are reused, and a copy has another inode.
        let ways: [Way; 3] = [Self::same_content, Self::same_inode, Self::same_beginning];
        for way in ways {
            for (place, known) in known.iter().enumerate().filter(|(_, known)| !known.is_done) {
                if found[place].is_none() {
                    found[place] = way(self, known)?.into_iter().find(|(_, status)| !taken.contains(&status.id));
                    taken.extend(found[place].iter().map(|(_, status)| status.id));
                }
            }
        }
        Ok(found)
    }

    /// The files of generations that are done.
    fn done(&self, known: &[Known]) -> io::Result<Vec<FileId>> {
        let mut done = Vec::new();
        for Known { generation, .. } in known.iter().filter(|known| known.is_done) {
            if let Some(file) = self.siblings.get(generation.file).map(Sibling::open).transpose()?.flatten()
                && generation.is_still(file.as_ref())?
            {
                done.push(generation.file);
            }
        }
        Ok(done)
    }

    fn same_content(&self, known: &Known) -> io::Result<Vec<Found>> {
        if known.is_content_known() { self.same_inode(known) } else { Ok(Vec::new()) }
    }

    fn same_inode(&self, known: &Known) -> io::Result<Vec<Found>> {
        let Known { generation, furthest, is_truncated, .. } = known;
        let inode = generation.file.inode;
        if !known.is_content_known() && generation.modified.is_some() {
            // An empty file cannot be told from a new file with its inode, so it is found as a new one.
            return Ok(Vec::new());
        }
        let mut same = Vec::from_iter(self.here.clone().filter(|(_, status)| status.id.inode == inode));
        for sibling in self.siblings.with_inode(inode) {
            same.extend(sibling.open()?.map(|file| (file, sibling.status)));
        }
        let mut found = Vec::new();
        for (file, status) in same.into_iter().filter(|_| !is_truncated) {
            if generation.is_in(file.as_ref(), furthest.as_ref())? {
                found.push((file, status));
            }
        }
        Ok(found)
    }

    /// The copies of a file that was truncated after it was copied.
    fn same_beginning(&self, known: &Known) -> io::Result<Vec<Found>> {
        let Known { generation, furthest, .. } = known;
        let mut found = Vec::new();
        if !known.is_content_known() {
            return Ok(found);
        }
        let rotated = self.siblings.rotated(|_| false).into_iter().rev();
        for sibling in rotated.filter(|sibling| sibling.status.length >= generation.length) {
            if let Some(file) = sibling.open()?
                && generation.is_in(file.as_ref(), furthest.as_ref())?
            {
                found.push((file, sibling.status));
            }
        }
        Ok(found)
    }
}

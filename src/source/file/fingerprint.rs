//! Fingerprints of followed files: the device, the inode, and the CRC-32 of what was read identify a file, whatever its
//! name. `line_reader` sums what is read, `tailer` puts the sum into each position, and this file finds by it the files of a
//! checkpoint again. Next: `resume`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{partial_line, rotation};
use crate::disk::{DiskFile, FileId};
use crate::item::{DoneRanges, FileGeneration, Position};
use crate::source::line_reader::sum;

/// Where in a file the reading begins.
#[derive(Clone, Debug)]
pub(super) enum ResumePoint {
    /// After this line.
    After(u64, Position),
    /// At its start; it is known which line that is.
    Start(Arc<FileGeneration>),
    /// At its start; its lines are counted on from those before, of which there were at least so many.
    New(u64),
}

/// A file of which something is known.
#[derive(Debug)]
pub(super) struct KnownGeneration {
    /// Its first line.
    pub first: u64,
    /// Which it is now, if it is there, and where it can be gone on with.
    pub found: Option<(FileId, ResumePoint)>,
}

impl KnownGeneration {
    /// The files that a checkpoint knows, in the order of their lines.
    ///
    /// # Errors
    /// What the system says.
    pub fn all(path: &Path, settled: &DoneRanges) -> io::Result<Vec<Self>> {
        furthest(settled).into_iter().map(|furthest| Self::find(path, settled, furthest)).collect()
    }

    fn find(path: &Path, settled: &DoneRanges, furthest: &Position) -> io::Result<Self> {
        let first = furthest.file.first;
        let Some(file) = locate(path, furthest)? else { return Ok(Self { first, found: None }) };
        let generation = partial_line::noted(file.as_ref(), furthest)?;
        let is_in_it = |position: &Position| (position.file.inode, position.file.first) == (generation.inode, first);
        let begin = match settled.known_from(first) {
            Some((seq, position)) if is_in_it(position) => {
                let (seq, position) =
                    partial_line::before(file.as_ref(), *seq, Position { file: generation, ..*position })?;
                ResumePoint::After(seq, position)
            }
            _ => ResumePoint::Start(generation),
        };
        Ok(Self { first, found: Some((file.id(), begin)) })
    }

    /// Which it is now.
    pub fn id(&self) -> Option<FileId> {
        self.found.as_ref().map(|(id, _)| *id)
    }
}

/// The furthest position that is known of each file, in the order of their lines.
fn furthest(settled: &DoneRanges) -> Vec<&Position> {
    let mut furthest: Vec<&Position> = Vec::new();
    for position in settled.positions() {
        // A file that was cut to begin anew is what it became.
        furthest.retain(|before| before.file.inode != position.file.inode);
        furthest.push(position);
    }
    furthest
}

/// The file that was read up to this position, at its path or next to it.
fn locate(path: &Path, furthest: &Position) -> io::Result<Option<Arc<dyn DiskFile>>> {
    // Names may change while they are read.
    const LOOKS: usize = 2;
    for _ in 0..LOOKS {
        if let Some(file) = rotation::open(path)?
            && is_read(file.as_ref(), furthest)?
        {
            return Ok(Some(file));
        }
        for file in rotation::with_inode(path, furthest.file.inode)? {
            if is_read(file.as_ref(), furthest)? {
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

/// Whether a file is the one that was read up to this position. A device may get another number when the machine starts.
fn is_read(file: &dyn DiskFile, furthest: &Position) -> io::Result<bool> {
    let FileId { device, inode } = file.id();
    if inode != furthest.file.inode {
        return Ok(false);
    }
    if furthest.end == 0 {
        // Nothing was read that could tell.
        return Ok(device == furthest.file.device);
    }
    Ok(sum(file, furthest.end)? == Some(furthest.fingerprint.prefix_sum))
}

//! The files that a checkpoint knows: whether they are still there, and where each can be gone on with. A file is known by
//! the sum of what was read of it. Next: `resume`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{rotated, torn};
use crate::disk::{DiskFile, FileId};
use crate::item::{Place, Settled, Stretch};
use crate::source::cutter::sum;

/// Where in a file the reading begins.
#[derive(Clone, Debug)]
pub(super) enum Begin {
    /// After this line.
    After(u64, Place),
    /// At its start; it is known which line that is.
    Known(Arc<Stretch>),
    /// At its start; its lines are counted on from those before, of which there were at least so many.
    New(u64),
}

/// A file of which something is known.
#[derive(Debug)]
pub(super) struct Known {
    /// Its first line.
    pub first: u64,
    /// Which it is now, if it is there, and where it can be gone on with.
    pub found: Option<(FileId, Begin)>,
}

impl Known {
    /// The files that a checkpoint knows, in the order of their lines.
    ///
    /// # Errors
    /// What the system says.
    pub fn all(path: &Path, settled: &Settled) -> io::Result<Vec<Self>> {
        furthest(settled).into_iter().map(|furthest| Self::find(path, settled, furthest)).collect()
    }

    fn find(path: &Path, settled: &Settled, furthest: &Place) -> io::Result<Self> {
        let first = furthest.file.first;
        let Some(file) = locate(path, furthest)? else { return Ok(Self { first, found: None }) };
        let stretch = torn::noted(file.as_ref(), furthest)?;
        let is_in_it = |place: &Place| (place.file.inode, place.file.first) == (stretch.inode, first);
        let begin = match settled.known_from(first) {
            Some((seq, place)) if is_in_it(place) => {
                let (seq, place) = torn::before(file.as_ref(), *seq, Place { file: stretch, ..*place })?;
                Begin::After(seq, place)
            }
            _ => Begin::Known(stretch),
        };
        Ok(Self { first, found: Some((file.id(), begin)) })
    }

    /// Which it is now.
    pub fn id(&self) -> Option<FileId> {
        self.found.as_ref().map(|(id, _)| *id)
    }
}

/// The furthest place that is known of each file, in the order of their lines.
fn furthest(settled: &Settled) -> Vec<&Place> {
    let mut furthest: Vec<&Place> = Vec::new();
    for place in settled.places() {
        // A file that was cut to begin anew is what it became.
        furthest.retain(|before| before.file.inode != place.file.inode);
        furthest.push(place);
    }
    furthest
}

/// The file that was read up to this place, at its path or next to it.
fn locate(path: &Path, furthest: &Place) -> io::Result<Option<Arc<dyn DiskFile>>> {
    // Names may change while they are read.
    const LOOKS: usize = 2;
    for _ in 0..LOOKS {
        if let Some(file) = rotated::open(path)?
            && is_read(file.as_ref(), furthest)?
        {
            return Ok(Some(file));
        }
        for file in rotated::with_inode(path, furthest.file.inode)? {
            if is_read(file.as_ref(), furthest)? {
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

/// Whether a file is the one that was read up to this place. A device may get another number when the machine starts.
fn is_read(file: &dyn DiskFile, furthest: &Place) -> io::Result<bool> {
    let FileId { device, inode } = file.id();
    if inode != furthest.file.inode {
        return Ok(false);
    }
    if furthest.end == 0 {
        // Nothing was read that could tell.
        return Ok(device == furthest.file.device);
    }
    Ok(sum(file, furthest.end)? == Some(furthest.sum))
}

//! Rewrites the end of a file without some of its frames, in pieces, so that a crash at any moment loses none of the others.
//!
//! The frames that stay are first written to a file beside it. While that one is there, it has what the end is to be, and
//! opening the output finishes the rewrite before anything else, as SQLite does with a hot journal.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, FileId, Mode, SyncPoint, append_when_room, retry_while_full};

/// Bytes that are copied at once.
const PIECE: u64 = 64 << 10;

/// The file beside the output begins with the offset from which on that is replaced.
const HEADER: usize = size_of::<u64>();

/// Where the files of an output are rewritten. The file beside them is synced whatever the fsync policy of the output is:
/// a torn one would damage what was whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewrite<'a> {
    pub disk: &'a dyn Disk,
    /// The directory of the output.
    pub dir: &'a Path,
}

/// Something that stays.
pub(super) enum Kept {
    /// Frames as they are in the file.
    Frames(Range<u64>),
    /// A frame that was made anew, as a part of it stays.
    New(Vec<u8>),
}

impl Rewrite<'_> {
    /// Replaces what a file has from an offset on by what is kept of it.
    ///
    /// # Errors
    /// When a file cannot be read or written. The next [`finish`](Self::finish) goes on from there.
    pub fn replace_end(
        self,
        file: &dyn DiskFile,
        start: u64,
        kept: impl Iterator<Item = io::Result<Kept>>,
    ) -> io::Result<()> {
        let path = self.path_beside(file.id());
        let new = unfinished(&path);
        let beside = retry_while_full(&new, || self.disk.open(&new, Mode::Append))?;
        beside.set_len(0)?;
        append_when_room(&new, beside.as_ref(), &start.to_le_bytes())?;
        for kept in kept {
            match kept? {
                Kept::Frames(range) => copy(file, range, &new, beside.as_ref())?,
                Kept::New(frame) => append_when_room(&new, beside.as_ref(), &frame)?,
            }
        }
        beside.sync(SyncPoint::RewriteFile)?;
        retry_while_full(&path, || self.disk.rename(&new, &path))?;
        self.disk.sync_dir(self.dir, SyncPoint::RewriteName)?;
        self.finish(file)
    }

    /// Goes on with the rewrite of a file that a crash interrupted, if there is one.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn finish(self, file: &dyn DiskFile) -> io::Result<()> {
        let path = self.path_beside(file.id());
        if self.open(&unfinished(&path))?.is_some() {
            self.disk.remove(&unfinished(&path))?;
        }
        let Some(beside) = self.open(&path)? else { return Ok(()) };
        let mut start = [0; HEADER];
        if beside.read_at(&mut start, 0)? < HEADER {
            return Err(io::Error::other(format!("{} is damaged", path.display())));
        }
        let start = u64::from_le_bytes(start);
        if file.length()? > start {
            file.set_len(start)?;
        }
        copy(beside.as_ref(), HEADER as u64..beside.length()?, &path, file)?;
        file.sync(SyncPoint::RewriteOutput)?;
        self.disk.remove(&path)?;
        self.disk.sync_dir(self.dir, SyncPoint::RewriteRemoved)
    }

    /// The file beside the one with this identity, whatever its name is by now.
    fn path_beside(self, FileId { device, inode }: FileId) -> PathBuf {
        self.dir.join(format!(".fetchd-rewrite-{device}-{inode}"))
    }

    fn open(self, path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match self.disk.open(path, Mode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }
}

/// Its name while it is written.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Appends bytes of one file to another.
fn copy(from: &dyn DiskFile, range: Range<u64>, path: &Path, to: &dyn DiskFile) -> io::Result<()> {
    let mut piece = Vec::new();
    let mut at = range.start;
    while at < range.end {
        piece.resize(usize::try_from(PIECE.min(range.end - at)).map_err(io::Error::other)?, 0);
        let n = from.read_at(&mut piece, at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        append_when_room(path, to, &piece[..n])?;
        at += n as u64;
    }
    Ok(())
}

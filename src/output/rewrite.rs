//! Rewrites the end of a file without some of its frames, in pieces, so that a crash at any moment loses none of the others.
//!
//! The frames that stay are first written to a file beside it. While that one is there, it has what the end is to be, and
//! opening the output finishes the rewrite before anything else, as SQLite does with a hot journal. An inode can be used again,
//! so the file beside says which output it is of: it has the position that the checkpoint had of the output, and a checksum of
//! what is before that. What does not match is stale, and removed.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, FileId, Mode, SyncPoint, append_when_room, retry_while_full};

/// Bytes that are copied at once.
const PIECE: u64 = 64 << 10;

/// The head of the file beside the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// The position of the output in the checkpoint, which stays the same until the rewrite is finished.
    from: u64,
    /// The CRC-32 of up to 64 KiB before that. They were synced before the checkpoint, so a power cut does not change them.
    sum: u32,
    /// From this offset on the output is replaced.
    start: u64,
}

impl Header {
    const LENGTH: usize = 20;

    fn to_bytes(self) -> Vec<u8> {
        [&self.from.to_le_bytes()[..], &self.sum.to_le_bytes(), &self.start.to_le_bytes()].concat()
    }

    fn read(file: &dyn DiskFile) -> io::Result<Option<Self>> {
        let (mut from, mut sum, mut start) = ([0; 8], [0; 4], [0; 8]);
        let n = file.read_at(&mut from, 0)? + file.read_at(&mut sum, 8)? + file.read_at(&mut start, 12)?;
        let (from, sum, start) = (u64::from_le_bytes(from), u32::from_le_bytes(sum), u64::from_le_bytes(start));
        Ok((n == Self::LENGTH).then_some(Self { from, sum, start }))
    }
}

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
    /// Replaces what a file has from `start` on by what is kept of it. The checkpoint has the position `from` of it.
    ///
    /// # Errors
    /// When a file cannot be read or written. The next [`finish`](Self::finish) goes on from there.
    pub fn replace_end(
        self,
        file: &dyn DiskFile,
        (from, start): (u64, u64),
        kept: impl Iterator<Item = io::Result<Kept>>,
    ) -> io::Result<()> {
        let path = self.path_beside(file.id());
        let new = unfinished(&path);
        let beside = retry_while_full(&new, || self.disk.open(&new, Mode::Append))?;
        beside.set_len(0)?;
        let header = Header { from, sum: sum_before(file, from)?, start };
        append_when_room(&new, beside.as_ref(), &header.to_bytes())?;
        for kept in kept {
            match kept? {
                Kept::Frames(range) => copy(file, range, &new, beside.as_ref())?,
                Kept::New(frame) => append_when_room(&new, beside.as_ref(), &frame)?,
            }
        }
        beside.sync(SyncPoint::RewriteFile)?;
        retry_while_full(&path, || self.disk.rename(&new, &path))?;
        self.disk.sync_dir(self.dir, SyncPoint::RewriteName)?;
        self.finish(file, from)
    }

    /// Goes on with the rewrite that a crash interrupted, if there is one, of a file that has this position in the checkpoint.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn finish(self, file: &dyn DiskFile, from: u64) -> io::Result<()> {
        let path = self.path_beside(file.id());
        self.remove_unfinished(&path)?;
        let Some(beside) = self.open(&path)? else { return Ok(()) };
        let header = Header::read(beside.as_ref())?;
        let damaged = || io::Error::other(format!("{} is damaged", path.display()));
        let Header { start, .. } = header.ok_or_else(damaged)?;
        if header != Some(Header { from, sum: sum_before(file, from)?, start }) {
            return self.discard(file.id());
        }
        if file.length()? > start {
            file.set_len(start)?;
        }
        copy(beside.as_ref(), Header::LENGTH as u64..beside.length()?, &path, file)?;
        file.sync(SyncPoint::RewriteOutput)?;
        self.remove(&path)
    }

    /// Removes what is beside a file that the checkpoint does not know, or knows otherwise: it is of an output that had
    /// this inode before.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(self, id: FileId) -> io::Result<()> {
        let path = self.path_beside(id);
        self.remove_unfinished(&path)?;
        if self.open(&path)?.is_none() {
            return Ok(());
        }
        tracing::warn!("{} is of an output that was removed or changed since; it is deleted", path.display());
        self.remove(&path)
    }

    fn remove(self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)?;
        self.disk.sync_dir(self.dir, SyncPoint::RewriteRemoved)
    }

    fn remove_unfinished(self, path: &Path) -> io::Result<()> {
        let new = unfinished(path);
        if self.open(&new)?.is_some() { self.disk.remove(&new) } else { Ok(()) }
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

/// The CRC-32 of up to 64 KiB of a file before this offset.
fn sum_before(file: &dyn DiskFile, end: u64) -> io::Result<u32> {
    let begin = end.saturating_sub(PIECE);
    let mut bytes = vec![0; usize::try_from(end - begin).map_err(io::Error::other)?];
    let n = file.read_at(&mut bytes, begin)?;
    Ok(crc32fast::hash(&bytes[..n]))
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

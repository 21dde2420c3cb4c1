//! Removes frames from the end of a file so that a crash at any moment loses none of the other frames.
//!
//! The remaining frames are first written to a rewrite file in the same directory. While the rewrite file exists,
//! opening the output first finishes the rewrite, as SQLite does with a hot journal. Inodes can be reused, so the
//! rewrite file identifies its output by the position in the checkpoint and a checksum of the bytes before it. A
//! rewrite file that does not match is stale and removed.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, FileId, Mode, SyncPoint, append_when_room, retry_while_full};

/// Bytes copied at once.
const PIECE: u64 = 64 << 10;

/// The header of the rewrite file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// The position of the output in the checkpoint, which stays the same until the rewrite is finished.
    from: u64,
    /// The CRC-32 of up to 64 KiB before that position. They were fsynced before the checkpoint, so a power cut does
    /// not change them.
    sum: u32,
    /// The offset from which on the output is replaced.
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

/// Rewrites the files of an output. The rewrite file is fsynced regardless of the fsync policy, because a torn one
/// would damage whole records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewrite<'a> {
    pub disk: &'a dyn Disk,
    /// The directory of the output.
    pub dir: &'a Path,
}

/// A part of the file that is kept.
pub(super) enum Kept {
    /// Frames that are copied unchanged.
    Frames(Range<u64>),
    /// A new frame with the remaining records of an old one.
    New(Vec<u8>),
}

impl Rewrite<'_> {
    /// Replaces the file from `start` on by the kept parts. `from` is the file's position in the checkpoint.
    ///
    /// # Errors
    /// When a file cannot be read or written. The next [`finish`](Self::finish) resumes the rewrite.
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

    /// Finishes an interrupted rewrite, if there is one, of a file with this position in the checkpoint.
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

    /// Removes a stale rewrite file: it belongs to an output that had this inode before.
    ///
    /// # Errors
    /// When the rewrite file cannot be removed.
    pub fn discard(self, id: FileId) -> io::Result<()> {
        let path = self.path_beside(id);
        self.remove_unfinished(&path)?;
        if self.open(&path)?.is_none() {
            return Ok(());
        }
        tracing::warn!("{} belongs to an output that was removed or changed since, so it is deleted", path.display());
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

    /// The path of the rewrite file for the output with this identity.
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

/// The name of an incomplete rewrite file.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Appends a range of one file to another.
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

//! The real disk, with which a test may tamper.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fetchd::disk::{Disk, DiskFile, FileId, Mode, RealDisk, SyncPoint};

/// What comes between a program and its disk. Where it says nothing, all goes well.
pub trait Tamper: Debug + Send + Sync + 'static {
    /// Something is about to be opened or listed.
    fn look(&self) {}

    /// So many bytes were read.
    fn read(&self, _bytes: usize) {}

    /// How many of so many bytes are appended.
    fn append(&self, bytes: usize) -> io::Result<usize> {
        Ok(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    /// Bytes that are free, if that is made up.
    fn free(&self) -> Option<u64> {
        None
    }
}

#[derive(Debug)]
pub struct Tampered<T>(pub Arc<T>);

#[derive(Debug)]
struct File<T>(Arc<dyn DiskFile>, Arc<T>);

impl<T: Tamper> Disk for Tampered<T> {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        self.0.look();
        Ok(Arc::new(File(RealDisk.open(path, mode)?, Arc::clone(&self.0))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.look();
        RealDisk.list(dir)
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        RealDisk.id_at(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()> {
        self.0.sync_dir()?;
        RealDisk.sync_dir(dir, point)
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        self.0.free().map_or_else(|| RealDisk.free(dir), Ok)
    }
}

impl<T: Tamper> DiskFile for File<T> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.0.read_at(buffer, offset)?;
        self.1.read(n);
        Ok(n)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(&bytes[..self.1.append(bytes.len())?])
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn free_start(&self, bytes: u64) -> io::Result<()> {
        self.0.free_start(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn sync(&self, point: SyncPoint) -> io::Result<()> {
        self.1.sync()?;
        self.0.sync(point)
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }

    fn id(&self) -> FileId {
        self.0.id()
    }

    fn has_name(&self) -> io::Result<bool> {
        self.0.has_name()
    }
}

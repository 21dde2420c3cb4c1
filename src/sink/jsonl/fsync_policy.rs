//! The fsync policy of an output: `fsync = "never"` replaces every fsync of its files by nothing.

use std::io;
use std::sync::Arc;

use super::Fsync;
use crate::disk::{DiskFile, FileId, SyncPoint};

/// The file itself, or one that is never synced.
pub(super) fn apply(file: Arc<dyn DiskFile>, fsync: Fsync) -> Arc<dyn DiskFile> {
    match fsync {
        Fsync::Commit | Fsync::Batch => file,
        Fsync::Never => Arc::new(Unsynced(file)),
    }
}

#[derive(Debug)]
struct Unsynced(Arc<dyn DiskFile>);

impl DiskFile for Unsynced {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn sync(&self, _point: SyncPoint) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }

    fn id(&self) -> FileId {
        self.0.id()
    }
}

//! The fsync policy of an output. With `never`, no file is fsynced. With `batch`, the output fsyncs after every batch
//! (`rotating_file`); with `commit`, before a checkpoint is written (`DataDir::save`).

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::{DiskFile, FileId, SyncPoint};

/// When records are fsynced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// Before a checkpoint, and before a file gets its final name.
    #[default]
    Commit,
    /// After every batch.
    Batch,
    /// Never: records survive a crash of the process, but perhaps not of the machine.
    Never,
}

impl Fsync {
    /// Wraps the file for `Never`, so that its fsync does nothing.
    pub(super) fn apply(self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        match self {
            Self::Commit | Self::Batch => file,
            Self::Never => Arc::new(Unsynced(file)),
        }
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

    fn free_start(&self, bytes: u64) -> io::Result<()> {
        self.0.free_start(bytes)
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

    fn has_name(&self) -> io::Result<bool> {
        self.0.has_name()
    }
}

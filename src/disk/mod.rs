//! The file system operations of durable state, behind a trait, so that tests can crash at any of them.
//!
//! The durability of journal, checkpoint and outputs depends on the order of writes, fsyncs and renames. Each fsync has
//! a name ([`SyncPoint`]), and `tests/crash/` shows that each is needed.

mod append;
mod read_back;
mod real;
mod resolved;
mod retry;
mod thread;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::BoxError;

pub use append::{AppendAttempts, append_all, append_when_room};
pub use read_back::{READ_BACK, ReadBack, ReadBackBytes, Reading, ReadingBack};
pub use real::RealDisk;
pub use resolved::resolved;
pub use retry::{is_absent, is_full, retry_while_absent, retry_while_full, waiting_for_room};
pub use thread::DiskThread;

/// The file system operations that fetchd uses.
///
/// Written data is visible to later reads and survives the process. It survives a crash of the machine only after an
/// fsync: of the contents by [`DiskFile::sync`], of the name by [`Disk::sync_dir`]. All methods return the errors of
/// the system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a regular file.
    ///
    /// # Errors
    /// Without blocking if the file is of another kind.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file, and replaces a file at the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The paths of the regular files in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// The identity of the file at this path, without opening it.
    ///
    /// # Errors
    /// `NotFound` if there is no file.
    fn id_at(&self, path: &Path) -> io::Result<FileId>;

    /// Creates a directory and its parents, if missing.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Fsyncs a directory, so that the names in it are durable.
    ///
    /// # Errors
    /// After an error, no name in the directory can be relied on.
    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()>;

    /// Free bytes of the file system of this directory.
    fn free(&self, dir: &Path) -> io::Result<u64>;
}

/// An open regular file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to the length of the buffer; returns 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Appends bytes to the file, possibly only some of them.
    ///
    /// # Errors
    /// After an error, some of the bytes may have been written.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Truncates the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Frees the disk space of the first bytes, which then read as zeros, if the file system supports it. The length
    /// stays the same.
    fn free_start(&self, bytes: u64) -> io::Result<()>;

    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Fsyncs the contents.
    ///
    /// # Errors
    /// After an error, unsynced data may be lost even if a second call succeeds.
    fn sync(&self, point: SyncPoint) -> io::Result<()>;

    /// Tries to take the exclusive lock, and returns whether it was free. The lock is released when the file is closed.
    fn try_lock(&self) -> io::Result<bool>;

    /// The identity of the file, independent of its name.
    fn id(&self) -> FileId;

    /// Whether the file has a name; a deleted file has none.
    fn has_name(&self) -> io::Result<bool>;
}

/// The mode in which a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For reading; the file must exist.
    Read,
    /// For reading and appending; the file is created if missing.
    Append,
}

/// The points at which files or directories are fsynced, each against a certain crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncPoint {
    /// The name of the data directory is durable, so that its contents are found.
    DataDir,
    /// Lines are durable before they are accepted: their records contain their numbers, which must not change.
    JournalBatch,
    /// Journal entries that a killed process left unsynced are durable before they are used.
    JournalFound,
    /// The name of a segment is durable, so that its lines are found.
    JournalName,
    /// The idempotency keys of a segment are in the keys file before the next segment begins: only the last segment is
    /// searched for keys, and others may be deleted.
    KeysFile,
    /// The keys file has replaced the old one before the next segment begins.
    KeysName,
    /// The records of lines that the checkpoint marks as done are durable.
    Output,
    /// The name of an output file is durable, so that its records are found.
    OutputName,
    /// Records that a killed process left unsynced in a moved file are durable before they are used.
    OutputFound,
    /// The truncation of a partial record is durable before new records are written there.
    OutputCut,
    /// The rewrite file contains the remaining records before the end of an output is truncated.
    RewriteFile,
    /// The name of the rewrite file is durable before the end of the output is truncated.
    RewriteName,
    /// The remaining records are back in the output before the rewrite file is removed.
    RewriteOutput,
    /// The removal of the rewrite file is durable before new records are written to the output.
    RewriteRemoved,
    /// The list of a round is durable before the checkpoint opens the round.
    RoundList,
    /// The name of the list is durable before the checkpoint opens the round.
    RoundName,
    /// The new checkpoint is durable before it replaces the old one.
    CheckpointFile,
    /// The new checkpoint has replaced the old one before data that only the old one needs is deleted.
    CheckpointName,
    /// The new overrides file is durable before it replaces the old one.
    OverridesFile,
    /// The overrides file has replaced the old one before the operator gets the response.
    OverridesName,
}

/// The identity of a file, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileId {
    /// The device number.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
}

/// The position in an output file up to which the checkpoint covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputPosition {
    /// The file.
    pub file: FileId,
    /// The number of a rotated file.
    pub number: u64,
    /// Bytes before the position.
    pub length: u64,
}

/// A position in an open output. The file has to be fsynced before a checkpoint contains the position.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The name of the sink; empty if it has none.
    pub sink: Arc<str>,
    /// The position.
    pub position: OutputPosition,
    /// The file.
    pub file: Arc<dyn DiskFile>,
    /// The path, for messages.
    pub path: PathBuf,
}

/// Registers a new output file in the checkpoint before its first record, so that recovery finds it after a kill.
pub trait RegisterOutputFile: Send + Sync + fmt::Debug {
    /// Adds the position to those of the sink, and waits until the checkpoint is written.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    fn register(&self, sink: &str, position: OutputPosition) -> Result<(), BoxError>;
}

//! The file system operations that durable state needs, behind a trait, so that tests can crash at any of them.
//!
//! A journal, a checkpoint and an output are right only because of the order in which they write, sync and rename. Each
//! fsync has a name ([`SyncPoint`]), and `tests/crash/` shows for each that it is needed.

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

/// A file system, as far as it is needed here.
///
/// What was written is seen by every later read, and survives the process. It survives the machine only when it was
/// synced: a file by [`DiskFile::sync`], its name by [`Disk::sync_dir`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a regular file.
    ///
    /// # Errors
    /// What the system says, and at once when it is another kind of file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, in place of a file that has it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The regular files in a directory, with their whole paths, in the order of their names.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Which file has this path, without opening it.
    ///
    /// # Errors
    /// What the system says; `NotFound` when none has.
    fn id_at(&self, path: &Path) -> io::Result<FileId>;

    /// Creates a directory and those above it, if it is not there.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory last.
    ///
    /// # Errors
    /// What the system says; nothing in the directory can be relied on then.
    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()>;

    /// Bytes that can still be written below this directory.
    ///
    /// # Errors
    /// What the system says.
    fn free(&self, dir: &Path) -> io::Result<u64>;
}

/// An open regular file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to as many bytes as the buffer has; 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at the end of the file; possibly less than all.
    ///
    /// # Errors
    /// What the system says. Some of the bytes may have been written.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Frees the disk space of the first bytes, which are zeros then, where the file system can do that. The length stays.
    ///
    /// # Errors
    /// What the system says.
    fn free_start(&self, bytes: u64) -> io::Result<()>;

    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;

    /// Makes its content last.
    ///
    /// # Errors
    /// What the system says. What was not synced before may be lost, whatever a second call says.
    fn sync(&self, point: SyncPoint) -> io::Result<()>;

    /// Takes the lock that one process can have, and says whether it got it. It ends with the file.
    ///
    /// # Errors
    /// What the system says.
    fn try_lock(&self) -> io::Result<bool>;

    /// Which file this is, whatever its name.
    fn id(&self) -> FileId;

    /// Whether it has a name, or several: one that was deleted has none.
    ///
    /// # Errors
    /// What the system says.
    fn has_name(&self) -> io::Result<bool>;
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To be read; it must be there.
    Read,
    /// To be read and appended to; it is created if it is not there.
    Append,
}

/// The places where something is made to last. Each is there for a crash that its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncPoint {
    /// The data directory has its name, so that what is in it is found.
    DataDir,
    /// Lines are accepted: they may be fetched and recorded, so they must not come again under other numbers.
    JournalBatch,
    /// What a killed process left in the journal without a sync is relied on.
    JournalFound,
    /// A segment has its name, so that the lines in it are found.
    JournalName,
    /// The idempotency keys of a segment are in the file of keys before the segment has a successor: only the last is looked at
    /// for keys, and the others may be deleted.
    KeysFile,
    /// That file has replaced the one before it by then.
    KeysName,
    /// What the checkpoint calls done is in the outputs.
    Output,
    /// An output has its name, so that what is in it is found.
    OutputName,
    /// What a killed process left without a sync in a file that was moved away is relied on.
    OutputFound,
    /// A torn end was cut, and what is written there next is not mixed with it.
    OutputCut,
    /// The records that stay are in a file of their own before the end of an output is cut off.
    RewriteFile,
    /// That file has its name before the end of the output is cut off.
    RewriteName,
    /// The records that stay are back in the output before that file is removed.
    RewriteOutput,
    /// That file is removed before anything else is written to the output.
    RewriteRemoved,
    /// The list of a round is whole before the checkpoint opens the round.
    RoundList,
    /// The list of a round has its name before the checkpoint opens the round.
    RoundName,
    /// The new checkpoint is whole before it replaces the old one.
    CheckpointFile,
    /// The new checkpoint has replaced the old one before what only the old one needs is deleted.
    CheckpointName,
    /// What operators have changed is whole before it replaces what they had changed before.
    OverridesFile,
    /// It has replaced that before the operator is told that it holds.
    OverridesName,
}

/// What a file is known by when its name changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileId {
    /// The device that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// Up to where an output is accounted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputPosition {
    /// The file.
    pub file: FileId,
    /// Its number among the files of an output that is rotated.
    pub number: u64,
    /// Bytes of it.
    pub length: u64,
}

/// A position in an open output, which is to be synced before anybody relies on it.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The sink's name; empty when it has none.
    pub sink: Arc<str>,
    /// Where it is.
    pub position: OutputPosition,
    /// The file.
    pub file: Arc<dyn DiskFile>,
    /// Its name, for messages.
    pub path: PathBuf,
}

/// Registers a file of an output in the checkpoint, before the first record is written to it: after a kill its records are
/// found there.
pub trait RegisterOutputFile: Send + Sync + fmt::Debug {
    /// Adds the position to those of the sink. It waits until the checkpoint is written.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    fn register(&self, sink: &str, position: OutputPosition) -> Result<(), BoxError>;
}

//! The file system operations that durable state needs, behind a trait, so that tests can crash at any of them.
//!
//! A journal, a checkpoint and an output are right only because of the order in which they write, sync and rename. Each
//! fsync has a name ([`SyncPoint`]), and `tests/crash/` shows for each that it is needed.

mod real;
mod resolved;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::resource_limits::explain;

pub use real::RealDisk;
pub use resolved::resolved;

/// A file system, as far as it is needed here.
///
/// What was written is seen by every later read, and survives the process. It survives the machine only when it was
/// synced: a file by [`DiskFile::sync`], its name by [`Disk::sync_dir`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a regular file.
    ///
    /// # Errors
    /// What the system says.
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
    /// The new checkpoint is whole before it replaces the old one.
    CheckpointFile,
    /// The new checkpoint has replaced the old one before what only the old one needs is deleted.
    CheckpointName,
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

/// Appends all of it. On an error the file is cut back to what it was, as far as possible.
///
/// # Errors
/// The first that appending meets.
pub fn append_all(file: &dyn DiskFile, bytes: &[u8], length: u64) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = match file.append(rest) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            written => written,
        };
        match written {
            Ok(n) => rest = &rest[n..],
            Err(error) => {
                // What cannot be cut now is found torn at the next start.
                let _ = file.set_len(length);
                return Err(explain(error));
            }
        }
    }
    Ok(())
}

/// Appends all of it, as soon as there is room for that.
///
/// # Errors
/// What the system says, other than that there is no room. The file is then what it was, as far as possible.
pub fn append_when_room(path: &Path, file: &dyn DiskFile, bytes: &[u8]) -> io::Result<()> {
    let mut whole = None;
    retry_while_full(path, || {
        let length = file.length()?;
        // What the last attempt could not take back must not stay in front of this one.
        let length = match whole {
            Some(whole) if whole < length => file.set_len(whole).map(|()| whole)?,
            _ => length,
        };
        whole = Some(length);
        append_all(file, bytes, length)
    })
}

/// Whether this error goes away when there is room again.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Tries until there is room: a full disk heals, and until then everything that comes before it waits.
///
/// # Errors
/// Any other error, at once.
pub fn retry_while_full<T>(place: &Path, attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry_while(is_full, attempt, |change| match change {
        Ok(()) => tracing::info!("there is room for {} again", place.display()),
        Err(error) => tracing::warn!(%error, "no room for {}; waiting until there is", place.display()),
    })
}

/// Tries until the directory of a file is there: somebody who removed or unmounted it can bring it back.
///
/// # Errors
/// Any other error, at once.
pub fn retry_while_absent<T>(place: &Path, attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let is_absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    retry_while(is_absent, attempt, |change| match change {
        Ok(()) => tracing::info!("the directory of {} is there again", place.display()),
        Err(error) => tracing::warn!(%error, "the directory of {} is gone; waiting until it is there", place.display()),
    })
}

/// Tries until an attempt ends without such an error; says when the waiting begins, and when it is over.
fn retry_while<T>(
    is_passing: impl Fn(&io::Error) -> bool,
    mut attempt: impl FnMut() -> io::Result<T>,
    say: impl Fn(Result<(), &io::Error>),
) -> io::Result<T> {
    const EVERY: Duration = Duration::from_secs(1);
    let mut is_waiting = false;
    loop {
        match attempt() {
            Err(error) if is_passing(&error) => {
                if !std::mem::replace(&mut is_waiting, true) {
                    say(Err(&error));
                }
                std::thread::sleep(EVERY);
            }
            result => {
                if is_waiting {
                    say(Ok(()));
                }
                return result;
            }
        }
    }
}

//! Appends to a file, all or nothing as far as possible, also over several attempts.

use std::io;
use std::path::Path;

use super::retry::retry_while_full;
use super::{DiskFile, FileId};
use crate::resource_limits::explain;

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

/// Attempts to append the same bytes, perhaps to one file after the other.
#[derive(Debug, Default)]
pub struct AppendAttempts {
    /// The file of the last attempt, which failed, and its length before that.
    failed: Option<(FileId, u64)>,
}

impl AppendAttempts {
    /// Appends all of it.
    ///
    /// # Errors
    /// What the system says. The file is then what it was, or the next attempt makes it so.
    pub fn append(&mut self, file: &dyn DiskFile, bytes: &[u8]) -> io::Result<()> {
        let length = file.length()?;
        // What the last attempt could not take back must not stay in front of this one.
        let length = match self.failed {
            Some((id, whole)) if id == file.id() && whole < length => file.set_len(whole).map(|()| whole)?,
            _ => length,
        };
        self.failed = Some((file.id(), length));
        append_all(file, bytes, length)?;
        self.failed = None;
        Ok(())
    }
}

/// Appends all of it, as soon as there is room for that.
///
/// # Errors
/// What the system says, other than that there is no room. The file is then what it was, as far as possible.
pub fn append_when_room(path: &Path, file: &dyn DiskFile, bytes: &[u8]) -> io::Result<()> {
    let mut attempts = AppendAttempts::default();
    retry_while_full(path, || attempts.append(file, bytes))
}

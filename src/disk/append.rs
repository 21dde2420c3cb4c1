//! Appends to a file, all or nothing as far as possible, over several attempts if necessary.

use std::io;
use std::path::Path;

use super::retry::retry_while_full;
use super::{DiskFile, FileId};
use crate::resource_limits::explain;

/// Appends all bytes. On an error the file is truncated to its old length, if possible.
///
/// # Errors
/// The first error of an append.
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
                // If this fails, the next start truncates the partial record.
                let _ = file.set_len(length);
                return Err(explain(error));
            }
        }
    }
    Ok(())
}

/// Attempts to append the same bytes, possibly to different files.
#[derive(Debug, Default)]
pub struct AppendAttempts {
    /// The file of the last failed attempt, and its length before.
    failed: Option<(FileId, u64)>,
}

impl AppendAttempts {
    /// Appends all bytes.
    ///
    /// # Errors
    /// When appending fails. The file has its old length, or the next attempt restores it.
    pub fn append(&mut self, file: &dyn DiskFile, bytes: &[u8]) -> io::Result<()> {
        let length = file.length()?;
        // Remove partial bytes that the last attempt could not truncate.
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

/// Appends all bytes, and waits while the disk is full.
///
/// # Errors
/// When appending fails otherwise. The file is truncated to its old length, if possible.
pub fn append_when_room(path: &Path, file: &dyn DiskFile, bytes: &[u8]) -> io::Result<()> {
    let mut attempts = AppendAttempts::default();
    retry_while_full(path, || attempts.append(file, bytes))
}

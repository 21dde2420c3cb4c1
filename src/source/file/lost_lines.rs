//! Warnings of lines that can no longer be read.

use std::path::Path;

use super::generation::Generation;
use crate::units::counted;

/// Warns that a file was rewritten in place.
pub(super) fn say_that_it_is_truncated(path: &Path, bytes: u64) {
    let path = path.display();
    tracing::warn!(
        event = "file_truncated",
        %path,
        bytes,
        "{path} was truncated; reading from the start. Lines not read before the truncation are lost"
    );
}

/// Warns that a file is gone that was not read to its end.
pub(super) fn say_that_it_is_gone(path: &Path, generation: &Generation) {
    let (path, bytes) = (path.display(), generation.length);
    tracing::warn!(
        event = "file_lost",
        %path,
        bytes,
        "{path}: an earlier file of this path was deleted or moved before it could be read; at least {} are lost",
        counted(bytes, "byte")
    );
}

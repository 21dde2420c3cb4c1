//! The source `stdin`: lines as they come, each as soon as its LF is there.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Source, lines};
use crate::error::BoxError;
use crate::units::Size;

/// `[source.NAME.stdin]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stdin {
    /// A longer line is rejected.
    pub max_line: Size,
}

impl Default for Stdin {
    fn default() -> Self {
        Self { max_line: Size::mib(1) }
    }
}

impl Stdin {
    /// Opens standard input.
    ///
    /// # Errors
    /// When it is closed, or a directory.
    pub fn open(&self, name: Option<Arc<str>>) -> Result<Source, BoxError> {
        let lines = lines::of(vec![(None, standard_input()?)], name, self.max_line.0)?;
        Ok(Source { lines, settle: None, extent: None })
    }
}

/// Standard input as a file, so that reading it is not behind a lock and a second buffer.
pub(super) fn standard_input() -> io::Result<File> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

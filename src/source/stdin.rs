//! The source `stdin`: lines as they come, each as soon as its LF is there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Keeps, Past, Source, lines};
use crate::error::BoxError;
use crate::units::Size;

/// `[source.NAME.stdin]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stdin {
    /// A longer line is rejected.
    pub max_line: Size,
    /// Whether accepted lines are kept in a journal until they are done.
    pub durable: bool,
    /// How large that journal may grow before no more is read.
    pub max_journal: Size,
}

impl Default for Stdin {
    fn default() -> Self {
        Self { max_line: Size::mib(1), durable: false, max_journal: Size::mib(4096) }
    }
}

impl Stdin {
    /// Opens standard input.
    ///
    /// # Errors
    /// When it is closed, or a directory.
    pub fn open(&self, name: Option<Arc<str>>, _past: Option<Past>) -> Result<Source, BoxError> {
        let lines = lines::of(vec![(None, lines::standard_input()?)], name, self.max_line.0)?;
        Ok(Source { lines, keeps: Keeps::Nothing, extent: None })
    }
}

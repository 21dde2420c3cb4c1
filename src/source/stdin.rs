//! The source `stdin`: lines as they come, each as soon as its LF is there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::durable::{self, Bounds};
use super::{Durability, SavedState, Source, line_stream};
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
    /// Opens standard input, behind its journal if it is durable.
    ///
    /// # Errors
    /// When it is closed, or a directory, or the journal cannot be opened.
    pub fn open(&self, name: Option<Arc<str>>, saved: Option<&SavedState>) -> Result<Source, BoxError> {
        if let Some(saved) = saved {
            let (max_line, max_journal) = (self.max_line.0, self.max_journal.0);
            return durable::open(Bounds { max_line, max_journal, min_free: saved.min_free }, name, saved);
        }
        let lines = line_stream::of(vec![(None, line_stream::standard_input()?)], name, self.max_line.0)?;
        Ok(Source::new(lines, Durability::Ephemeral))
    }
}

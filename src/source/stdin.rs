//! The source `stdin`: yields each line as soon as its LF arrives.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::journal_gauge::Bounds;
use super::{CheckContext, Durability, Inputs, SavedState, Source, SourceConfig, durable, line_stream};
use crate::diagnostics::Section;
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
    /// The size of the journal at which reading stops.
    pub max_journal: Size,
}

impl Default for Stdin {
    fn default() -> Self {
        Self { max_line: Size::mib(1), durable: false, max_journal: Size::mib(4096) }
    }
}

impl SourceConfig for Stdin {
    fn check(&self, context: &CheckContext<'_>, section: &mut Section<'_>) {
        context.check_max_line(self.max_line, section);
        if self.max_journal.0 == 0 {
            section.add("max_journal", "`max_journal` is 0, so no line could be accepted; write for example \"4GiB\"");
        }
        if self.durable && context.data_dir.is_none() {
            let message = "a durable source needs a place for its journal; write for example [state] with data_dir = \"/var/lib/fetchd\"";
            section.add("durable", message);
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs { stdin: 1, files: Vec::new() }
    }

    fn is_durable(&self) -> bool {
        self.durable
    }

    fn why_not_durable(&self, name: &str) -> String {
        format!(
            "remembers no lines of standard input; with `durable = true` in [source.{name}.stdin] they are kept until they are done"
        )
    }

    fn open(&self, name: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Source, BoxError> {
        if let Some(saved) = saved {
            let bounds = Bounds { max_journal: self.max_journal.0, min_free: saved.min_free };
            return durable::open(self.max_line.0, bounds, name, &saved);
        }
        let lines = line_stream::of(vec![(None, line_stream::standard_input()?)], name, self.max_line.0)?;
        Ok(Source::new(lines, Durability::Ephemeral))
    }
}

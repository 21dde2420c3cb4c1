//! Sources: where lines come from. One file per kind.
//!
//! A source is a stream of lines and, when it is durable, someone to tell which of them are done. Next: `pipeline::feed`.

mod file;
mod lines;
mod reader;
mod splitter;
mod stdin;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::Serialize;

pub use file::File;
pub use stdin::Stdin;

use crate::error::BoxError;
use crate::item::{Input, Receipt};

/// An open source.
pub struct Source {
    /// Its lines, in order. The end of the stream is the end of the input; an error ends the run.
    ///
    /// The stream may wait for ever and is dropped when the run stops. It keeps no line from being seen: what was read
    /// completely is yielded before the next wait.
    pub lines: BoxStream<'static, Result<Input, BoxError>>,
    /// Whom to tell what is done. A source without it forgets unfinished lines when the run ends.
    pub settle: Option<Box<dyn Settle>>,
    /// How much there is to read, when that is known.
    pub extent: Option<Extent>,
}

/// The size of an input whose size is known, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// All of it.
    pub bytes: u64,
}

impl Extent {
    fn new(bytes: u64) -> Self {
        Self { bytes }
    }
}

/// Learns which lines are done, so that a restart does not yield them again.
///
/// It is called with lines whose records every sink has made as durable as it can, each line once, in no particular
/// order, and never while another call is under way. An error ends the run.
pub trait Settle: Send {
    /// Makes it last that these lines are done.
    fn settle<'a>(&'a mut self, done: &'a [Receipt]) -> BoxFuture<'a, Result<(), BoxError>>;
}

/// A source as configured: `[source.NAME.KIND]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceConfig {
    /// Standard input.
    Stdin(Stdin),
    /// Files.
    File(File),
}

impl SourceConfig {
    /// The kinds there are.
    pub const KINDS: &[&str] = &["stdin", "file"];

    /// Reads the table of a kind; `None` for a kind that is not one of [`Self::KINDS`].
    ///
    /// # Errors
    /// What is wrong in the table.
    pub fn read<'de, D: serde::Deserializer<'de>>(kind: &str, table: D) -> Option<Result<Self, D::Error>> {
        use serde::Deserialize;
        Some(match kind {
            "stdin" => Stdin::deserialize(table).map(Self::Stdin),
            "file" => File::deserialize(table).map(Self::File),
            _ => return None,
        })
    }

    /// Opens the source.
    ///
    /// # Errors
    /// What could not be opened, and why.
    pub fn open(&self, name: Option<Arc<str>>) -> Result<Source, BoxError> {
        match self {
            Self::Stdin(stdin) => stdin.open(name),
            Self::File(file) => file.open(name),
        }
    }
}

//! Sources: where lines come from. One file or folder per kind.
//!
//! A source is a stream of lines and, when it is durable, a part that deletes lines once they are done. Next:
//! `pipeline::feed`.

mod chunk_reader;
mod durable;
mod file;
mod line_reader;
mod line_stream;
mod splitter;
mod stdin;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::Serialize;

pub use file::File;
pub use stdin::Stdin;

use crate::disk::Disk;
use crate::error::BoxError;
use crate::item::{DoneRanges, Input, Position, ReleaseReceipt};

/// An open source.
pub struct Source {
    /// Its lines, in order. The end of the stream is the end of the input; an error ends the run.
    ///
    /// The stream may wait for ever and is dropped when the run stops. It keeps no line from being seen: what was read
    /// completely is yielded before the next wait.
    pub lines: BoxStream<'static, Result<Input, BoxError>>,
    /// What it keeps of lines for a restart.
    pub durability: Durability,
    /// Its part that has the lines themselves until they are done for good, if it has.
    pub trim: Option<Arc<dyn Trim>>,
    /// Where it can break while nobody takes its lines: resolves when it has, and the run ends at once.
    pub breaks: Option<BoxFuture<'static, BoxError>>,
    /// How much there is to read, when that is known.
    pub extent: Option<Extent>,
    /// Its part that takes lines back, if it can. A line that goes back leaves a gap, so such a source excludes records in
    /// the order of the input.
    pub release: Option<Box<dyn Release>>,
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

impl Source {
    /// A source that has no more to it than its lines.
    pub fn new(lines: BoxStream<'static, Result<Input, BoxError>>, durability: Durability) -> Self {
        Self { lines, durability, trim: None, breaks: None, extent: None, release: None }
    }
}

/// What a source keeps of its lines, so that it can yield them again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: a line that is not finished when the run ends is canceled, and gets its record.
    Ephemeral,
    /// Its position: a line that is not finished is left for the next start, and one that is done is not yielded again.
    Resumable,
}

/// What a durable source starts from.
#[derive(Debug)]
pub struct SavedState {
    /// The name of what is kept, which its lines carry.
    pub state_id: Arc<str>,
    /// Where state is kept.
    pub disk: Arc<dyn Disk>,
    /// The source's own directory, should it need one.
    pub dir: PathBuf,
    /// Room that is to be left on its disk, in bytes.
    pub min_free: u64,
    /// By path, the lines that are done. A source without files has an empty path.
    pub files: BTreeMap<String, DoneRanges>,
}

/// Lets go of lines that no restart will ask for.
pub trait Trim: Send + Sync {
    /// All lines up to this one are done, and that will be remembered.
    ///
    /// # Errors
    /// When their place cannot be cleared; the run goes on, for nothing is wrong but the room they take.
    fn trim(&self, through: u64) -> io::Result<()>;
}

/// Takes lines back that were accepted and have no record, for another instance to fetch.
pub trait Release: Send {
    /// These lines of the source are not fetched here, each released once. They are not settled, neither before nor after.
    /// Does not wait.
    ///
    /// # Errors
    /// When the lines could be lost; the run ends.
    fn release(&mut self, lines: Vec<ReleaseReceipt>) -> Result<(), BoxError>;
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

    /// The kind of a source that can go on where it stopped, given a data directory; `None` for one that cannot.
    pub fn durable_kind(&self) -> Option<&'static str> {
        match self {
            Self::Stdin(stdin) => stdin.durable.then_some("stdin"),
            Self::File(file) => file.is_durable().then_some("file"),
        }
    }

    /// By path, where the first lines of a durable source's files begin: what is remembered of files that are new, so that
    /// they are found by more than their names.
    pub fn begins(&self) -> Vec<(String, Position)> {
        match self {
            Self::Stdin(_) => Vec::new(),
            Self::File(file) => file.begins(),
        }
    }

    /// Opens the source; a durable one with what is known of its earlier runs, if that is kept anywhere.
    ///
    /// # Errors
    /// What could not be opened, and why.
    pub fn open(&self, name: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Source, BoxError> {
        match self {
            Self::Stdin(stdin) => stdin.open(name, saved.as_ref()),
            Self::File(file) => file.open(name, saved),
        }
    }
}

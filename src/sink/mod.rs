//! Sinks: where records go. One file per kind.

mod derive;
mod encode;
mod json_lines;
mod json_writer;
mod jsonl;
mod line_breaks;
mod meter;
mod opened;
mod recover;
mod rotating;
mod staging;
mod stdout;
mod stream;
mod webhook;
mod writer;

use std::future::{pending, ready};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use encode::{BodyFormat, Encoder, Style};
pub use jsonl::Jsonl;
pub use meter::{SinkMeter, SinkView, Written, metered};
pub use opened::{OpenedSink, Opening, RemoteClients, Shipping, StartedSink};
pub use recover::{RecoveredLine, recover};
pub use stdout::Stdout;
pub use webhook::Webhook;

use crate::diagnostics::Section;
use crate::disk::{Disk, FileId, Mark};
use crate::error::BoxError;
use crate::item::{BodyNeed, Needs, Outcome, Record};
use crate::registry::{Component, Kind, Named};

/// Takes records.
///
/// An error ends the run. Batches come one at a time and in order; a slow sink slows the whole pipeline down to its
/// source. All methods but `write` have something to do only where a sink is a file.
pub trait Sink: Send {
    /// Takes a batch. `Ok` means that it will be in the output unless the process is killed before the next `flush`.
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Writes everything taken to the output, and returns where that ends if a restart can read it there.
    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Mark>, BoxError>> {
        ready(Ok(None)).boxed()
    }

    /// Returns once this sink's file should be rotated. It may be dropped and called again.
    fn due(&mut self) -> BoxFuture<'_, ()> {
        pending().boxed()
    }

    /// Makes this sink due, if it has files to rotate.
    fn request_rotation(&mut self) {}

    /// Ends the present file. The checkpoint holds by now what was flushed before.
    fn end_file(&mut self, _end: EndReason) -> BoxFuture<'_, Result<(), BoxError>> {
        ready(Ok(())).boxed()
    }

    /// What it has written so far, if it counts that.
    fn written(&self) -> Written {
        Written::default()
    }

    /// Its meter, if it has one ([`metered`]).
    fn meter(&self) -> Option<Arc<SinkMeter>> {
        None
    }
}

/// Why a file of the output ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Another one begins.
    Rotation,
    /// The run is over.
    Shutdown,
}

/// Which records a sink wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Every record.
    #[default]
    All,
    /// Those with the outcome `ok`.
    Ok,
    /// All others.
    NotOk,
}

impl Wanted {
    /// Whether records of this outcome are wanted.
    pub fn takes(self, outcome: Outcome) -> bool {
        match self {
            Self::All => true,
            Self::Ok => outcome == Outcome::Ok,
            Self::NotOk => outcome != Outcome::Ok,
        }
    }
}

/// A sink as configured, `[sink.NAME.KIND]`: what its kind says of itself before it is opened.
pub trait SinkConfig: Component {
    /// Reports everything that is wrong with its table.
    fn check(&self, section: &mut Section<'_>);

    /// Where it writes.
    fn target(&self) -> Target<'_>;

    /// Paths that it writes to now or later.
    fn paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether it will write to this path, which is not its own: one of its numbered files. The path has no links and detours.
    fn will_write_to(&self, _path: &Path) -> bool {
        false
    }

    /// Whether a file, whatever its name, is one of its own.
    fn has_file(&self, _disk: &dyn Disk, _file: FileId) -> bool {
        false
    }

    /// Whether its records wait in the data directory until they have arrived elsewhere: then it needs one, and its name stands
    /// in names of files.
    fn ships(&self) -> bool {
        false
    }

    /// Files and sockets that it can have open at once.
    fn open_files(&self) -> u64 {
        1
    }

    /// What it needs of responses, where `[output]` says this.
    fn needs(&self, output: &Content) -> Needs;

    /// Opens it.
    ///
    /// # Errors
    /// What could not be opened, and why.
    fn open(&self, opening: Opening) -> Result<OpenedSink, BoxError>;
}

/// The kinds of sinks. A new one is its file, its `mod` line, and its row here.
pub const KINDS: &[Kind<dyn SinkConfig>] = &[
    Kind::new::<Stdout>("stdout", |table| Ok(Arc::new(Stdout::deserialize(table)?))),
    Kind::new::<Jsonl>("jsonl", |table| Ok(Arc::new(Jsonl::deserialize(table)?))),
    Kind::new::<Webhook>("webhook", |table| Ok(Arc::new(Webhook::deserialize(table)?))),
];

/// Where a sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Standard output.
    Stdout,
    /// A file, or the path that the names of its files are made of.
    File(&'a Path),
    /// No file of this machine.
    Elsewhere,
}

/// What `[output]` says of the content of records, for all sinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// How bodies are shown; a sink may override it.
    pub body: BodyFormat,
    /// Whether records have the response's headers.
    pub headers: bool,
    /// Whether records have the body's SHA-256.
    pub digest: bool,
}

impl Content {
    /// What a sink of JSON lines needs that shows bodies as `body` says, or as all do.
    pub fn needs(&self, body: Option<BodyFormat>) -> Needs {
        let body = if body.unwrap_or(self.body) == BodyFormat::None { BodyNeed::Length } else { BodyNeed::Decoded };
        Needs { body, response_headers: self.headers, digest: self.digest }
    }
}

/// The sink of a run that configures none.
pub fn standard_output() -> Named<dyn SinkConfig> {
    Named::unnamed("stdout", Arc::new(Stdout::default()))
}

/// The sink of `-o`: this file, or standard output for `-`.
pub fn writing(path: PathBuf) -> Named<dyn SinkConfig> {
    if path == Path::new("-") { standard_output() } else { Named::unnamed("jsonl", Arc::new(Jsonl::new(path))) }
}

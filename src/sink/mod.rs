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
/// source. The default methods do nothing; a sink that writes files overrides them.
pub trait Sink: Send {
    /// Writes a batch. After `Ok` it is in the output unless the process is killed before the next `flush`.
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Writes buffered records to the output. Returns where the output ends, if a restart can read it.
    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Mark>, BoxError>> {
        ready(Ok(None)).boxed()
    }

    /// Returns once this sink's file should be rotated. The future is cancel-safe.
    fn due(&mut self) -> BoxFuture<'_, ()> {
        pending().boxed()
    }

    /// Requests a rotation, if this sink rotates files.
    fn request_rotation(&mut self) {}

    /// Finishes the current file. The checkpoint already covers the records flushed before.
    fn end_file(&mut self, _end: EndReason) -> BoxFuture<'_, Result<(), BoxError>> {
        ready(Ok(())).boxed()
    }

    /// The records and bytes written so far, if this sink counts them.
    fn written(&self) -> Written {
        Written::default()
    }

    /// The meter, if this sink has one ([`metered`]).
    fn meter(&self) -> Option<Arc<SinkMeter>> {
        None
    }
}

/// Why an output file is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The next file begins.
    Rotation,
    /// The run ends.
    Shutdown,
}

/// The records that a sink is configured to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Every record.
    #[default]
    All,
    /// Records with the outcome `ok`.
    Ok,
    /// Records with any other outcome.
    NotOk,
}

impl Wanted {
    /// Whether the sink writes records with this outcome.
    pub fn takes(self, outcome: Outcome) -> bool {
        match self {
            Self::All => true,
            Self::Ok => outcome == Outcome::Ok,
            Self::NotOk => outcome != Outcome::Ok,
        }
    }
}

/// A configured sink, `[sink.NAME.KIND]`, before it is opened.
pub trait SinkConfig: Component {
    /// Reports every problem in its configuration table.
    fn check(&self, section: &mut Section<'_>);

    /// Where the sink writes.
    fn target(&self) -> Target<'_>;

    /// Paths that the sink writes to now or later.
    fn paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether this path, which is resolved, may become one of the sink's numbered files.
    fn will_write_to(&self, _path: &Path) -> bool {
        false
    }

    /// Whether a file, under any name, belongs to this sink.
    fn has_file(&self, _disk: &dyn Disk, _file: FileId) -> bool {
        false
    }

    /// Whether records are staged in the data directory until they are delivered. Then the sink's name is part of file
    /// names.
    fn ships(&self) -> bool {
        false
    }

    /// The most files and sockets that the sink has open at once.
    fn open_files(&self) -> u64 {
        1
    }

    /// The parts of a response that the sink writes, given the `[output]` table.
    fn needs(&self, output: &Content) -> Needs;

    /// Opens the sink.
    ///
    /// # Errors
    /// When the output cannot be opened, or its end cannot be repaired.
    fn open(&self, opening: Opening) -> Result<OpenedSink, BoxError>;
}

/// The kinds of sinks. A new kind is a file, its `mod` line, and a row here.
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
    /// A file, or the path that the names of numbered files derive from.
    File(&'a Path),
    /// A remote receiver.
    Elsewhere,
}

/// The content of records as `[output]` sets it for all sinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The format of bodies; a sink may override it.
    pub body: BodyFormat,
    /// Whether records contain the response headers.
    pub headers: bool,
    /// Whether records contain the body's SHA-256.
    pub digest: bool,
}

impl Content {
    /// The parts of a response that a JSON lines sink writes; `body` overrides the format of `[output]`.
    pub fn needs(&self, body: Option<BodyFormat>) -> Needs {
        let body = if body.unwrap_or(self.body) == BodyFormat::None { BodyNeed::Length } else { BodyNeed::Decoded };
        Needs { body, response_headers: self.headers, digest: self.digest }
    }
}

/// The default sink: standard output.
pub fn standard_output() -> Named<dyn SinkConfig> {
    Named::unnamed("stdout", Arc::new(Stdout::default()))
}

/// The sink of `-o`: this file, or standard output for `-`.
pub fn writing(path: PathBuf) -> Named<dyn SinkConfig> {
    if path == Path::new("-") { standard_output() } else { Named::unnamed("jsonl", Arc::new(Jsonl::new(path))) }
}

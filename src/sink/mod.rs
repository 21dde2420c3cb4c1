//! Sinks: where records go. One file per kind.

mod derive;
mod encode;
mod jsonl;
mod opened;
mod recover;
mod stdout;
mod stream;
mod writer;

use std::future::{pending, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use encode::{Body, Encoder, Style};
pub use jsonl::Jsonl;
pub use opened::{Opened, Opening};
pub use recover::recover;
pub use stdout::Stdout;

use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::{Outcome, Record};

/// Takes records.
///
/// An error ends the run. Batches come one at a time and in order; a slow sink slows the whole pipeline down to its
/// source. All methods but `write` have something to do only where a sink is a file.
pub trait Sink: Send {
    /// Takes a batch. `Ok` means that it will be in the output unless the process is killed before the next `flush`.
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Brings everything taken into the output, and says where that ends if a restart can read it there.
    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Mark>, BoxError>> {
        ready(Ok(None)).boxed()
    }

    /// Comes back once this sink should go on in another file. It may be dropped and called again.
    fn due(&mut self) -> BoxFuture<'_, ()> {
        pending().boxed()
    }

    /// Goes on in another file, or ends with this one. What was flushed before is remembered by now.
    fn switch(&mut self, _next: Next) -> BoxFuture<'_, Result<(), BoxError>> {
        ready(Ok(())).boxed()
    }
}

/// What comes after a file that is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another one.
    File,
    /// Nothing: the run is over.
    End,
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

/// A sink as configured: `[sink.NAME.KIND]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkConfig {
    /// Standard output.
    Stdout(Stdout),
    /// A file of JSON lines.
    Jsonl(Jsonl),
}

impl SinkConfig {
    /// The kinds there are.
    pub const KINDS: &[&str] = &["stdout", "jsonl"];

    /// Reads the table of a kind; `None` for a kind that is not one of [`Self::KINDS`].
    ///
    /// # Errors
    /// What is wrong in the table.
    pub fn read<'de, D: serde::Deserializer<'de>>(kind: &str, table: D) -> Option<Result<Self, D::Error>> {
        Some(match kind {
            "stdout" => Stdout::deserialize(table).map(Self::Stdout),
            "jsonl" => Jsonl::deserialize(table).map(Self::Jsonl),
            _ => return None,
        })
    }

    /// How this sink shows bodies, when it does not follow `output.body`.
    pub fn body(&self) -> Option<Body> {
        match self {
            Self::Stdout(stdout) => stdout.body,
            Self::Jsonl(jsonl) => jsonl.body,
        }
    }

    /// Opens the sink.
    ///
    /// # Errors
    /// What could not be opened, and why.
    pub fn open(&self, opening: Opening) -> Result<Opened, BoxError> {
        match self {
            Self::Stdout(stdout) => stdout.open(opening.style),
            Self::Jsonl(jsonl) => jsonl.open(opening),
        }
    }
}

//! Sinks: where records go. One file per kind.

mod encode;
mod jsonl;
mod stdout;
mod writer;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use encode::{Body, Encoder, Style};
pub use jsonl::Jsonl;
pub use stdout::Stdout;

use crate::error::BoxError;
use crate::item::{Outcome, Record};

/// Takes records.
///
/// `Ok` means that every record of the batch is as durable as this sink makes it; there is no other way to say it. An
/// error ends the run. Batches come one at a time and in order; a slow sink slows the whole pipeline down to its source.
pub trait Sink: Send {
    /// Writes a batch.
    fn write<'a>(&'a mut self, batch: &'a [Record]) -> BoxFuture<'a, Result<(), BoxError>>;
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
    /// Whether this record is wanted.
    pub fn wants(self, record: &Record) -> bool {
        match self {
            Self::All => true,
            Self::Ok => record.outcome == Outcome::Ok,
            Self::NotOk => record.outcome != Outcome::Ok,
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

/// An open sink, and what there is to say about it.
pub struct Opened {
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// A sentence for the person who started the run.
    pub note: Option<String>,
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
    pub fn open(&self, style: Style) -> Result<Opened, BoxError> {
        match self {
            Self::Stdout(stdout) => stdout.open(style),
            Self::Jsonl(jsonl) => jsonl.open(style),
        }
    }
}

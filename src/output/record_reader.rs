//! The interface between recovery and a sink's record format.

use std::fmt;
use std::io;
use std::ops::Range;

use crate::disk::DiskFile;
use crate::item::{Identity, Outcome, RawJson};

/// Parses the records of a sink from its output.
pub trait RecordReader: fmt::Debug + Send + Sync {
    /// Parses the text of one frame, or of several successive frames.
    fn parse(&self, text: &[u8]) -> Parsed;

    /// Examines the end of an uncompressed file that is not in the checkpoint. It may belong to another program.
    ///
    /// # Errors
    /// When the file cannot be read, or belongs to another program.
    fn examine(&self, file: &dyn DiskFile) -> io::Result<Examined>;
}

/// The result of parsing the text of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Successive records and nothing else. A record without a head has no line.
    Records(Vec<(Range<usize>, Option<RecordHead>)>),
    /// The beginning of a record that continues in the next frame.
    Part,
    /// Text that the sink does not write.
    Foreign,
}

/// The part of a record that recovery needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// The identity of the line.
    pub id: Identity,
    /// The outcome of the line.
    pub outcome: Outcome,
    /// Whether the record contains the body.
    pub body: BodyShown,
    /// The next page of a source that paginates.
    pub page: Option<RawJson>,
}

/// Whether a record contains the body of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyShown {
    /// There is no response, so the record is the same in every output.
    NoResponse,
    /// The record contains the body.
    Shown,
    /// The body was left out.
    LeftOut,
}

/// The result of examining an uncompressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The number of records.
    pub records: u64,
    /// The end of the file.
    pub end: FileEnd,
}

/// The end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEnd {
    /// The last record is whole.
    Whole,
    /// The last record lacks these bytes.
    Lacks(&'static [u8]),
    /// A partial record begins at this offset.
    Torn(u64),
}

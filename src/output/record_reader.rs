//! The interface to a sink's own format: what recovery has to know of the records in an output, and nothing more.

use std::fmt;
use std::io;
use std::ops::Range;

use crate::disk::DiskFile;
use crate::item::{Identity, Outcome, RawJson};

/// Reads the records of a sink back from its output.
pub trait RecordReader: fmt::Debug + Send + Sync {
    /// The records in the text of one frame, or of several that follow each other.
    fn parse(&self, text: &[u8]) -> Parsed;

    /// Examines the end of an uncompressed file of which nothing is remembered, so that it may be another program's.
    ///
    /// # Errors
    /// When the file cannot be read, or is another program's.
    fn examine(&self, file: &dyn DiskFile) -> io::Result<Examined>;
}

/// The text of frames, as a reader understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// These records, one after the other, and nothing else. A record without a head is nobody's.
    Records(Vec<(Range<usize>, Option<RecordHead>)>),
    /// The beginning of a record that goes on in the next frame.
    Part,
    /// Nothing that the sink writes.
    Foreign,
}

/// The facts of a record that recovery needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Its line.
    pub id: Identity,
    /// How the line ended.
    pub outcome: Outcome,
    /// Whether it shows the body of the response.
    pub body: BodyShown,
    /// Where its source goes on, if that reads answers.
    pub page: Option<RawJson>,
}

/// Whether a record shows the body of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyShown {
    /// There is no response, so the record is the same in every output.
    NoResponse,
    /// It does.
    Shown,
    /// The body was left out.
    LeftOut,
}

/// An uncompressed file of which nothing is remembered, as the sink's reader understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examined {
    /// How many records it has.
    pub records: u64,
    /// What comes after the last of them.
    pub end: FileEnd,
}

/// The end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEnd {
    /// The last record is whole.
    Whole,
    /// The last record is whole but for these bytes.
    Lacks(&'static [u8]),
    /// A torn record begins here.
    Torn(u64),
}

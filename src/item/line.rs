//! A line as a source yields it, and what of it is echoed in its record.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::redact::{cut_before_password, hide_url, redact};
use super::{DoneRanges, FileGeneration, Fingerprint, Position, RawJson};
use crate::error::BoxError;

/// Which line this is: stable over restarts of a durable source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The name of the data directory that remembers it, when one does. It tells apart runs that share an output.
    pub state_id: Option<Arc<str>>,
    /// The source's name, when the configuration gives it one.
    pub source: Option<Arc<str>>,
    /// The path, when the source reads several.
    pub file: Option<Arc<str>>,
    /// Counts the non-blank lines of one source and file, from 1.
    pub seq: u64,
    /// The round in which it is fetched: 0 for the first, whose records do not say it, and 2, 3 and so on for those after it.
    pub round: u32,
}

/// What a source yields.
#[derive(Debug)]
pub enum Input {
    /// A line with nothing on it; counted, and no more.
    Blank,
    /// A line that is owed exactly one record.
    Line(Line),
}

/// One non-blank line: who it is and what it says.
#[derive(Debug)]
pub struct Line {
    /// Its identity.
    pub id: Identity,
    /// Its text.
    pub text: Text,
    /// Where it is, if a restart can go on from there.
    pub position: Option<LinePosition>,
}

/// Where a source goes on once a line is done. It has no more bytes than a [`Position`]: thousands of lines wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinePosition {
    /// It ends here in a file that can be read again.
    #[expect(missing_docs, reason = "these are the fields of `Position`")]
    InFile { file: Arc<FileGeneration>, end: u64, fingerprint: Fingerprint },
    /// It has this ordinal in the list of its round.
    InList(u64),
    /// Its source has read the answer, and goes on from what it found.
    Page(RawJson),
}

impl LinePosition {
    /// Where it ends in its file, if it is in one.
    pub fn in_file(self) -> Option<Position> {
        match self {
            Self::InFile { file, end, fingerprint } => Some(Position { file, end, fingerprint }),
            Self::InList(_) | Self::Page(_) => None,
        }
    }
}

impl From<Position> for LinePosition {
    fn from(Position { file, end, fingerprint }: Position) -> Self {
        Self::InFile { file, end, fingerprint }
    }
}

/// The text of a line, without its LF.
#[derive(Debug)]
pub enum Text {
    /// All of it.
    Whole(Bytes),
    /// The line was longer than `max_line`. It is rare, and kept apart: thousands of lines wait.
    TooLong(Box<TooLong>),
    /// The line was accepted, but the journal that kept it is damaged.
    Lost,
}

/// What is kept of a line that was too long.
#[derive(Debug)]
pub struct TooLong {
    /// The first KiB.
    pub head: Bytes,
    /// How many bytes the line had.
    pub bytes: u64,
}

impl Text {
    /// A line that was too long.
    pub fn too_long(head: Bytes, bytes: u64) -> Self {
        Self::TooLong(Box::new(TooLong { head, bytes }))
    }

    /// How many bytes of this line are kept in memory.
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(text) => text.len(),
            Self::TooLong(long) => long.head.len(),
            Self::Lost => 0,
        }
    }

    /// Whether no byte is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Deletes lines that no restart will need.
pub trait Trim: Send + Sync {
    /// These lines are done, and the checkpoint says so.
    ///
    /// # Errors
    /// When their storage cannot be freed; the run goes on, as only space is lost.
    fn trim(&self, done: &DoneRanges) -> io::Result<()>;
}

/// Saves the position of a source at once, apart from the lines that are done.
pub trait SavePosition: Send + fmt::Debug {
    /// Replaces the position that a restart gives back to the source. Returns once it is durable.
    ///
    /// # Errors
    /// When the checkpoint cannot be written; the run ends.
    fn save(&mut self, position: RawJson) -> Result<(), BoxError>;
}

/// What a record repeats of its line.
#[derive(Debug)]
pub struct Echo {
    /// The whole line as given, the password of a URL redacted.
    pub input: EchoInput,
    /// `id` of a JSON line.
    pub id: Option<Box<RawValue>>,
    /// `meta` of a JSON line.
    pub meta: Option<Box<RawValue>>,
}

/// The line itself, in the three shapes it can have.
#[derive(Debug)]
pub enum EchoInput {
    /// A line that is no JSON object.
    Text(Box<str>),
    /// A JSON object.
    Object(Box<RawValue>),
    /// A line that cannot be repeated (too long, or not UTF-8). It is rare, and kept apart: thousands of lines wait.
    Cut(Box<CutInput>),
}

/// What a record shows of a line that cannot be repeated.
#[derive(Debug)]
pub struct CutInput {
    /// Its beginning, at most 1 KiB.
    pub head: Box<str>,
    /// How many bytes the line had.
    pub bytes: u64,
}

impl EchoInput {
    /// A JSON object whose URL may carry a password: it is hidden.
    pub(super) fn without_password(raw: &RawValue) -> Self {
        hide_url(raw).map_or_else(|text| Self::Text(text.into()), Self::Object)
    }
}

impl Echo {
    /// The echo of a line that is not a JSON object.
    pub fn text(text: &str) -> Self {
        Self { input: EchoInput::Text(text.into()), id: None, meta: None }
    }

    /// The echo of a line that cannot be repeated: at most its first KiB.
    pub fn cut(head: &[u8], bytes: u64) -> Self {
        const MOST: usize = 1024;
        // All of it is looked at, for the end of a password may be beyond what is shown.
        let text = redact(&String::from_utf8_lossy(head));
        let text = if (text.len() as u64) < bytes { cut_before_password(&text) } else { &text };
        let head = text[..text.floor_char_boundary(MOST)].into();
        Self { input: EchoInput::Cut(Box::new(CutInput { head, bytes })), id: None, meta: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_cut_is_hidden_whether_its_end_is_known_or_not() {
        let line = format!("http://u:hunter2{}@h/", "x".repeat(5000));
        for head in [&line.as_bytes()[..1024], line.as_bytes()] {
            let echo = format!("{:?}", Echo::cut(head, 6000));
            assert!(echo.contains("http://u:") && !echo.contains("hunter2"), "{echo}");
        }
    }

    #[test]
    fn a_cut_line_shows_at_most_a_kibibyte() {
        let Echo { input: EchoInput::Cut(cut), .. } = Echo::cut(&[0xff; 4000], 4000) else { panic!() };
        assert!(cut.head.len() <= 1024 && cut.bytes == 4000);
    }
}

//! A line as a source yields it, and its echo in the record.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::redact::{cut_before_password, hide_url, redact};
use super::{DoneRanges, FileGeneration, Fingerprint, Position, RawJson};
use crate::error::BoxError;

/// Identifies a line, also over restarts of a durable source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The identity of the data directory, if there is one. It distinguishes runs that share an output.
    pub state_id: Option<Arc<str>>,
    /// The source's name, if the configuration sets one.
    pub source: Option<Arc<str>>,
    /// The path, if the source reads several.
    pub file: Option<Arc<str>>,
    /// The number of the line among the non-blank lines of its source and file, from 1.
    pub seq: u64,
    /// The round in which it is fetched: 0 for the first, whose records omit it, then 2, 3 and so on.
    pub round: u32,
}

/// One line of a source, blank or not.
#[derive(Debug)]
pub enum Input {
    /// A blank line, which is only counted.
    Blank,
    /// A line that gets exactly one record.
    Line(Line),
}

/// A non-blank line with its identity and text.
#[derive(Debug)]
pub struct Line {
    /// Its identity.
    pub id: Identity,
    /// Its text.
    pub text: Text,
    /// Its position, if a restart can resume from there.
    pub position: Option<LinePosition>,
}

/// The position from which a source resumes once a line is done. It is no larger than a [`Position`], because thousands
/// of lines wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinePosition {
    /// The end of the line in a file that can be read again.
    #[expect(missing_docs, reason = "these are the fields of `Position`")]
    InFile { file: Arc<FileGeneration>, end: u64, fingerprint: Fingerprint },
    /// The ordinal of the line in the list of its round.
    InList(u64),
    /// The next page, which the source read in the response.
    Page(RawJson),
}

impl LinePosition {
    /// The position in a file, if it is one.
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
    /// The whole text.
    Whole(Bytes),
    /// The line was longer than `max_line`. Boxed, because it is rare and thousands of lines wait.
    TooLong(Box<TooLong>),
    /// The line was accepted, but its journal is damaged.
    Lost,
}

/// The start and the length of a line that was too long.
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

    /// The bytes of this line in memory.
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(text) => text.len(),
            Self::TooLong(long) => long.head.len(),
            Self::Lost => 0,
        }
    }

    /// Whether no byte is in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Deletes lines that no restart needs.
pub trait Trim: Send + Sync {
    /// Deletes lines that are done in the checkpoint.
    ///
    /// # Errors
    /// When their storage cannot be freed; the run continues, because only space is lost.
    fn trim(&self, done: &DoneRanges) -> io::Result<()>;
}

/// Saves the position of a source at once, apart from the lines that are done.
pub trait SavePosition: Send + fmt::Debug {
    /// Replaces the position from which a restart resumes the source. Returns once it is durable.
    ///
    /// # Errors
    /// When the checkpoint cannot be written; the run ends.
    fn save(&mut self, position: RawJson) -> Result<(), BoxError>;
}

/// The parts of its line that a record repeats.
#[derive(Debug)]
pub struct Echo {
    /// The whole line, with the password of a URL redacted.
    pub input: EchoInput,
    /// `id` of a JSON line.
    pub id: Option<Box<RawValue>>,
    /// `meta` of a JSON line.
    pub meta: Option<Box<RawValue>>,
}

/// The line as its record repeats it.
#[derive(Debug)]
pub enum EchoInput {
    /// A line that is no JSON object.
    Text(Box<str>),
    /// A JSON object.
    Object(Box<RawValue>),
    /// A line that cannot be repeated (too long, or not UTF-8). Boxed, because it is rare and thousands of lines wait.
    Cut(Box<CutInput>),
}

/// The start and the length of a line that cannot be repeated.
#[derive(Debug)]
pub struct CutInput {
    /// Its beginning, at most 1 KiB.
    pub head: Box<str>,
    /// How many bytes the line had.
    pub bytes: u64,
}

impl EchoInput {
    /// A JSON object with any password in its URL hidden.
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
        // The whole line is searched, because a password may end beyond the shown part.
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
    fn a_password_is_hidden_wherever_the_line_is_cut() {
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

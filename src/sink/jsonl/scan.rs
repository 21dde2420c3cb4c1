//! Scans the records that earlier runs left in an output: their identities, and where their text is.

use std::borrow::Cow;
use std::io;
use std::ops::Range;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::cursor::Cursor;
use super::frames::{Compress, Frame};
use crate::disk::DiskFile;
use crate::item::{Identity, Outcome};
use crate::sink::derive::Shows;

/// A line found in an output. Its text stays in the file: a body can be long.
#[derive(Clone, Debug)]
pub struct ScannedRecord {
    /// Whose record it is; absent when it is nobody's.
    pub record: Option<RecordHead>,
    /// Where it stands.
    pub(super) place: TextRange,
}

/// What a record says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Its line.
    pub id: Identity,
    /// How the line ended.
    pub outcome: Outcome,
    /// What it shows of a body.
    pub shows: Shows,
}

/// The frame that a line is in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextRange {
    pub frame: Range<u64>,
    pub text: Range<usize>,
}

/// Reads the lines of a file from a place on, to the first frame that has anything but JSON objects. Returns where
/// that begins.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(
    file: &dyn DiskFile,
    compress: Compress,
    from: u64,
    mut each: impl FnMut(ScannedRecord),
) -> io::Result<u64> {
    let mut cursor = Cursor::new(file, from);
    loop {
        let start = cursor.at();
        let Frame::Whole(text) = compress.next(&mut cursor)? else { return Ok(start) };
        let Some(lines) = lines(&text) else { return Ok(start) };
        for (range, record) in lines {
            each(ScannedRecord { record, place: TextRange { frame: start..cursor.at(), text: range } });
        }
    }
}

/// What is said when the file was changed meanwhile.
pub(super) const GONE: &str = "a record that was just read is not there any more";

/// The text of a frame in which lines were found.
///
/// # Errors
/// When it cannot be read any more.
pub(super) fn frame(file: &dyn DiskFile, compress: Compress, start: u64) -> io::Result<Vec<u8>> {
    match compress.next(&mut Cursor::new(file, start))? {
        Frame::Whole(text) => Ok(text),
        _ => Err(io::Error::other(GONE)),
    }
}

/// The lines of a frame; `None` when one of them is no JSON object.
fn lines(text: &[u8]) -> Option<Vec<(Range<usize>, Option<RecordHead>)>> {
    let mut start = 0;
    let mut lines = Vec::new();
    for end in memchr::memchr_iter(b'\n', text) {
        lines.push((start..end + 1, head(&text[start..end])?));
        start = end + 1;
    }
    (start == text.len()).then_some(lines)
}

/// What a line says; `None` when it is no JSON object, and nothing when it is not a record.
fn head(line: &[u8]) -> Option<Option<RecordHead>> {
    if let Ok(head) = serde_json::from_slice::<Head<'_>>(line) {
        return Some(head.head());
    }
    let is_object = line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok();
    is_object.then_some(None)
}

#[derive(Deserialize)]
struct Head<'a> {
    seq: Option<u64>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    file: Option<Cow<'a, str>>,
    /// What 0.1 called it.
    #[serde(borrow)]
    journal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state_id: Option<Cow<'a, str>>,
    #[serde(default)]
    round: u32,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "there")]
    bytes: bool,
    #[serde(default, deserialize_with = "there")]
    json: bool,
    #[serde(default, deserialize_with = "there")]
    body: bool,
    #[serde(default, deserialize_with = "there")]
    body_base64: bool,
}

/// A key is there even when its value is null.
fn there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl Head<'_> {
    fn head(self) -> Option<RecordHead> {
        let shows = match self {
            _ if self.json => Shows::Json,
            _ if self.body || self.body_base64 => Shows::Bytes,
            _ if self.bytes => Shows::Nothing,
            _ => Shows::All,
        };
        let name = self.outcome?;
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)?;
        let [state_id, source, file] =
            [self.state_id.or(self.journal), self.source, self.file].map(|text| text.map(Into::into));
        let id = Identity { state_id, source, file, seq: self.seq?, round: self.round };
        Some(RecordHead { id, outcome, shows })
    }
}

/// What a line with its LF says, if it is a record.
#[cfg(test)]
pub fn head_of(line: &[u8]) -> Option<RecordHead> {
    head(line.trim_ascii_end())?
}

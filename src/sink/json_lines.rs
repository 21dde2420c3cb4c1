//! Reads JSON lines back from an output: the identities of records, and the state of the file's end.

use std::borrow::Cow;
use std::io::{self, Read};

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::disk::DiskFile;
use crate::item::{Identity, Outcome, RawJson};
use crate::output::{BodyShown, Cursor, Examined, FileEnd, Parsed, RecordHead, RecordReader};

/// The record reader of JSON lines outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonLines;

impl RecordReader for JsonLines {
    fn parse(&self, text: &[u8]) -> Parsed {
        let (mut start, mut records) = (0, Vec::new());
        for end in memchr::memchr_iter(b'\n', text) {
            let Some(head) = head(&text[start..end]) else { return Parsed::Foreign };
            records.push((start..end + 1, head));
            start = end + 1;
        }
        if start == text.len() && !text.is_empty() { Parsed::Records(records) } else { Parsed::Foreign }
    }

    fn examine(&self, file: &dyn DiskFile) -> io::Result<Examined> {
        /// A longer last line is not a record of fetchd.
        const LONGEST: u64 = 1 << 30;
        let (records, last_end, length) = count_lines(file)?;
        if length == last_end {
            return Ok(Examined { records, end: FileEnd::Whole });
        }
        if length - last_end > LONGEST {
            return Err(io::Error::other(
                "its last line has no end and is longer than any record; is it another program's file?",
            ));
        }
        let mut tail = Vec::new();
        Cursor::new(file, last_end).read_to_end(&mut tail)?;
        if serde_json::from_slice::<IgnoredAny>(&tail).is_ok() {
            return Ok(Examined { records: records + 1, end: FileEnd::Lacks(b"\n") });
        }
        if !tail.starts_with(b"{") {
            return Err(io::Error::other("it does not end with a JSON line; is it another program's file?"));
        }
        Ok(Examined { records, end: FileEnd::Torn(last_end) })
    }
}

/// The number of whole lines of a file, the offset at which the last one ends, and the length of the file.
fn count_lines(file: &dyn DiskFile) -> io::Result<(u64, u64, u64)> {
    let (mut lines, mut last_end, mut length) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read_at(&mut buffer, length)?;
        if n == 0 {
            return Ok((lines, last_end, length));
        }
        for end in memchr::memchr_iter(b'\n', &buffer[..n]) {
            lines += 1;
            last_end = length + end as u64 + 1;
        }
        length += n as u64;
    }
}

/// The head of a record: `None` if the line is no JSON object, `Some(None)` if the object is no record.
fn head(line: &[u8]) -> Option<Option<RecordHead>> {
    if let Ok(keys) = serde_json::from_slice::<Keys<'_>>(line) {
        return Some(keys.head());
    }
    let is_object = line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok();
    is_object.then_some(None)
}

#[derive(Deserialize)]
struct Keys<'a> {
    seq: Option<u64>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    file: Option<Cow<'a, str>>,
    /// The key of `state_id` in 0.1.
    #[serde(borrow)]
    journal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state_id: Option<Cow<'a, str>>,
    #[serde(default)]
    round: u32,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    page: Option<RawJson>,
    #[serde(default, deserialize_with = "there")]
    bytes: bool,
    #[serde(default, deserialize_with = "there")]
    json: bool,
    #[serde(default, deserialize_with = "there")]
    body: bool,
    #[serde(default, deserialize_with = "there")]
    body_base64: bool,
}

/// Whether a key is present, even with the value null.
fn there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl Keys<'_> {
    fn head(self) -> Option<RecordHead> {
        let body = match self {
            _ if self.json || self.body || self.body_base64 => BodyShown::Shown,
            _ if self.bytes => BodyShown::LeftOut,
            _ => BodyShown::NoResponse,
        };
        let name = self.outcome?;
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)?;
        let [state_id, source, file] =
            [self.state_id.or(self.journal), self.source, self.file].map(|text| text.map(Into::into));
        let id = Identity { state_id, source, file, seq: self.seq?, round: self.round };
        Some(RecordHead { id, outcome, body, page: self.page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, Mode, RealDisk};

    fn examined(text: &str) -> io::Result<Examined> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        std::fs::write(&path, text).unwrap();
        JsonLines.examine(RealDisk.open(&path, Mode::Read).unwrap().as_ref())
    }

    #[test]
    fn whole_records_are_counted() {
        assert_eq!(examined("{\"seq\":1}\n{\"seq\":2}\n").unwrap(), Examined { records: 2, end: FileEnd::Whole });
    }

    #[test]
    fn a_torn_last_line_is_found_wherever_it_was_torn() {
        let whole = "{\"seq\":1}\n{\"seq\":22}\n";
        for cut in 11..whole.len() - 2 {
            assert_eq!(examined(&whole[..cut]).unwrap(), Examined { records: 1, end: FileEnd::Torn(10) });
        }
    }

    #[test]
    fn a_whole_last_line_may_lack_its_end() {
        let expected = Examined { records: 2, end: FileEnd::Lacks(b"\n") };
        assert_eq!(examined("{\"seq\":1}\n{\"seq\":2}").unwrap(), expected);
    }

    #[test]
    fn a_file_of_another_program_is_refused() {
        assert!(examined("Dear diary,\nI met a torn line").is_err());
    }

    #[test]
    fn a_frame_is_ours_only_if_all_of_it_is_whole_json_objects() {
        for text in ["", "{\"seq\":1}", "{\"seq\":1}\n1\n", "{\"seq\":1}\n{\"seq\":", "\n", "[]\n"] {
            assert_eq!(JsonLines.parse(text.as_bytes()), Parsed::Foreign, "{text:?}");
        }
        assert_eq!(JsonLines.parse(b"{}\n{\"seq\":1}\n"), Parsed::Records(vec![(0..3, None), (3..13, None)]));
    }

    #[test]
    fn a_record_says_whether_it_shows_the_body() {
        for (keys, body) in [
            ("", BodyShown::NoResponse),
            (",\"bytes\":1", BodyShown::LeftOut),
            (",\"bytes\":1,\"json\":null", BodyShown::Shown),
            (",\"bytes\":1,\"body\":\"x\"", BodyShown::Shown),
            (",\"bytes\":1,\"body_base64\":\"eA==\"", BodyShown::Shown),
        ] {
            let line = format!("{{\"seq\":7,\"outcome\":\"ok\",\"journal\":\"j\"{keys}}}");
            let head = head(line.as_bytes()).unwrap().unwrap();
            assert_eq!((head.body, head.id.state_id.as_deref()), (body, Some("j")), "{line}");
        }
    }
}

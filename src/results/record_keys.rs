//! Parses the keys of a record that identify its line, outcome and input.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::LineKey;
use crate::item::Outcome;

/// The relevant keys of a record. A JSON object without `seq` or a known `outcome` is no record.
#[derive(Debug, Deserialize)]
pub struct RecordKeys<'a> {
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
    /// The round; absent for the first.
    #[serde(default)]
    pub round: u32,
    /// The `id` that the line contained.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    input_bytes: Option<IgnoredAny>,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    /// The final status.
    pub status: Option<u16>,
    page: Option<IgnoredAny>,
    #[serde(borrow)]
    error: Option<ErrorKeys<'a>>,
}

#[derive(Debug, Deserialize)]
struct ErrorKeys<'a> {
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
}

impl<'a> RecordKeys<'a> {
    /// Parses a JSON object: `Some(None)` if it is no record, `None` if the text is no JSON object.
    pub(super) fn of_object(text: &'a [u8]) -> Option<Option<Self>> {
        if !text.starts_with(b"{") {
            return None;
        }
        match serde_json::from_slice(text) {
            Ok(keys) => Some(Some(keys).filter(Self::is_record)),
            Err(_) => serde_json::from_slice::<IgnoredAny>(text).ok().map(|_| None),
        }
    }

    fn is_record(&self) -> bool {
        self.seq.is_some() && self.outcome().is_some()
    }

    /// The outcome of the line.
    pub fn outcome(&self) -> Option<Outcome> {
        let name = self.outcome.as_deref()?;
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// The kind of the error, if there is one.
    pub fn error_kind(&self) -> Option<&str> {
        self.error.as_ref()?.kind.as_deref()
    }

    /// Whether the record is a page of a source that paginates. Only the source decides which pages are fetched again.
    pub fn is_page(&self) -> bool {
        self.page.is_some()
    }

    /// The id of the durable state that numbers the line. Without it, numbers of several runs are unrelated.
    pub fn state_id(&self) -> Option<&str> {
        self.state_id.as_deref().or(self.journal.as_deref())
    }

    /// The identity of the line.
    pub fn line(&self) -> LineKey {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        LineKey {
            source: text(self.source.as_deref()),
            file: text(self.file.as_deref()),
            seq: self.seq.unwrap_or_default(),
            state_id: text(self.state_id()),
        }
    }

    /// The input of the line; `None` if it was shortened or lost and cannot be fetched again.
    pub fn repeatable_input(&self) -> Option<&'a RawValue> {
        self.input.filter(|input| self.input_bytes.is_none() && input.get() != "\"\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_its_line_and_an_object_without_these_keys_is_none() {
        let text = br#"{"seq":7,"source":"s","file":"f","journal":"j","round":2,"id":[1],"input":{"url":"x"},"outcome":"http_error","status":401,"error":{"kind":"http_status","message":"m"},"json":{"seq":1}}"#;
        let keys = RecordKeys::of_object(text).unwrap().unwrap();
        let line = LineKey { source: "s".into(), file: "f".into(), seq: 7, state_id: "j".into() };
        assert_eq!((keys.line(), keys.round, keys.status), (line, 2, Some(401)));
        assert_eq!((keys.outcome(), keys.error_kind()), (Some(Outcome::HttpError), Some("http_status")));
        assert_eq!(keys.repeatable_input().unwrap().get(), r#"{"url":"x"}"#);
        for none in [r#"{"seq":7}"#, r#"{"outcome":"ok"}"#, r#"{"seq":7,"outcome":"odd"}"#, "{}", r#"{"seq":-1}"#] {
            assert!(RecordKeys::of_object(none.as_bytes()).unwrap().is_none(), "{none}");
        }
        assert!(["", "[7]", "{", "{}x"].iter().all(|text| RecordKeys::of_object(text.as_bytes()).is_none()));
    }

    #[test]
    fn an_input_that_was_cut_or_lost_cannot_be_repeated() {
        for input in [r#""input":"http://a","input_bytes":9000,"#, r#""input":"","#, ""] {
            let text = format!(r#"{{"seq":1,{input}"outcome":"rejected"}}"#);
            let keys = RecordKeys::of_object(text.as_bytes()).unwrap().unwrap();
            assert!(keys.repeatable_input().is_none(), "{text}");
        }
    }
}

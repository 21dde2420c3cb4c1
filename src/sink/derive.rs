//! From the record in one output to the same line's record in another, which may show bodies differently.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Body;
use super::encode::{Shown, shown};
use crate::error::BoxError;

/// What a record shows of its body, and so what can be made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// There is no body, so that it is the same everywhere.
    All,
    /// Every byte.
    Bytes,
    /// JSON without its white space.
    Json,
    /// Nothing, though there was one.
    Nothing,
}

impl Shows {
    /// Whether a record that shows bodies like this can be made of one that shows this much.
    pub fn suffices_for(self, body: Body) -> bool {
        match self {
            Self::All | Self::Bytes => true,
            Self::Json => matches!(body, Body::Auto | Body::None),
            Self::Nothing => body == Body::None,
        }
    }
}

/// A record as text, one entry for each key, in their order.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

/// The record of the same line as an output has it that shows bodies like this. `line` has its LF, and so has the result.
///
/// # Errors
/// When the line is not a record that shows enough.
pub(super) fn derive(line: &[u8], body: Body) -> Result<Vec<u8>, BoxError> {
    let Entries(entries) = Entries::read(line)?;
    let text_of = |key: &str| -> Result<Option<Cow<'_, str>>, BoxError> {
        let Some((_, raw)) = entries.iter().find(|(name, _)| name == key) else { return Ok(None) };
        Ok(Some(serde_json::from_str(raw.get())?))
    };
    let (text, base64) = (text_of("body")?, text_of("body_base64")?);
    let bytes = match (&text, &base64) {
        (Some(text), _) => Some(Cow::Borrowed(text.as_bytes())),
        (None, Some(base64)) => {
            Some(base64::engine::general_purpose::STANDARD.decode(base64.as_bytes()).map(Cow::Owned)?)
        }
        (None, None) => None,
    };
    let content_type = text_of("content_type")?;
    let new = bytes.as_deref().map(|bytes| shown(bytes, content_type.as_deref(), body));
    let mut out = Vec::with_capacity(line.len());
    for (key, raw) in &entries {
        let value = match (key.as_str(), &new) {
            ("json" | "body" | "body_base64", _) if body == Body::None => None,
            ("body" | "body_base64", Some(new)) => new.entry()?,
            _ => Some((key.as_str(), Cow::Borrowed(raw.get()))),
        };
        if let Some((key, value)) = value {
            out.push(if out.is_empty() { b'{' } else { b',' });
            serde_json::to_writer(&mut out, key)?;
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(out)
}

impl Shown<'_> {
    /// The key for this, and its value as JSON.
    fn entry(&self) -> serde_json::Result<Option<(&'static str, Cow<'_, str>)>> {
        Ok(match self {
            Shown::Nothing => None,
            Shown::Json(raw) => Some(("json", Cow::Borrowed(raw.get()))),
            Shown::Text(text) => Some(("body", Cow::Owned(serde_json::to_string(text)?))),
            Shown::Base64(text) => Some(("body_base64", Cow::Owned(serde_json::to_string(text)?))),
        })
    }
}

impl<'a> Entries<'a> {
    fn read(line: &'a [u8]) -> serde_json::Result<Self> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        serde_json::Deserializer::from_slice(line.trim_ascii_end()).deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::item::{Echo, Identity, Kind, Outcome, Record, Rejection, Response};
    use crate::sink::jsonl::head_of;
    use crate::sink::{Content, Encoder, Style, Wanted};

    const BODIES: [Body; 4] = [Body::Auto, Body::Text, Body::Base64, Body::None];

    fn record(response: Option<(Vec<u8>, &'static str)>) -> Record {
        let id = Identity { state_id: Some("j".into()), source: Some("s".into()), file: None, seq: 7, round: 0 };
        let rejection = Rejection { kind: Kind::InvalidUrl, message: "so it is".to_owned() };
        let mut record = Record::rejected(id, Echo::text("http://a.test/"), rejection);
        record.echo.meta = Some(RawValue::from_string("{\"body\":[1,\"\\u0041\",1.50]}".to_owned()).unwrap());
        if let Some((data, content_type)) = response {
            let bytes = data.len() as u64;
            record.outcome = Outcome::Ok;
            record.error = None;
            record.response = Some(Box::new(Response {
                status: http::StatusCode::OK,
                version: http::Version::HTTP_11,
                ip: None,
                content_type: Some(content_type.into()),
                content_length: None,
                location: None,
                retry_after: None,
                headers: None,
                body: crate::item::Body { data: data.into(), bytes, ..crate::item::Body::default() },
                ttfb: Duration::ZERO,
            }));
        }
        record
    }

    fn line(record: &Record, body: Body) -> Vec<u8> {
        let style = Style { content: Content { body, ..Content::default() }, epoch: jiff::Timestamp::UNIX_EPOCH };
        let mut line = Vec::new();
        Encoder::new(style, Wanted::All, None).encode(record, &mut line).unwrap();
        line
    }

    fn any_answer() -> impl Strategy<Value = Option<(Vec<u8>, &'static str)>> {
        let data = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20),
            "\\PC{0,20}".prop_map(String::into_bytes),
            Just(b"{ \"a\" : [1.50, null, \"\\n\"] }".to_vec()),
            Just(b"null".to_vec()),
        ];
        proptest::option::of((data, proptest::sample::select(vec!["application/json", "text/html"])))
    }

    proptest! {
        #[test]
        fn what_is_derived_is_what_would_have_been_written(response in any_answer()) {
            let record = record(response);
            for from in BODIES {
                let written = line(&record, from);
                let shows = head_of(&written).unwrap().shows;
                for to in BODIES {
                    if shows.suffices_for(to) {
                        prop_assert_eq!(derive(&written, to).unwrap(), line(&record, to), "{:?} to {:?}", from, to);
                    }
                    let is_rich = from == to || to == Body::None || matches!(from, Body::Text | Body::Base64);
                    prop_assert!(shows.suffices_for(to) || !is_rich, "{from:?} to {to:?}");
                }
            }
        }
    }
}

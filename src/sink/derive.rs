//! From the record in one output to the same line's record in another: it is copied, or its body is left out.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Body;
use crate::output::BodyShown;

/// Whether a record with this body, from an output that shows bodies like `from`, yields that of one that shows them like
/// `to`.
pub(super) fn suffices(body: BodyShown, from: Body, to: Body) -> bool {
    to == Body::None
        || match body {
            BodyShown::NoResponse => true,
            BodyShown::Shown => from == to,
            BodyShown::LeftOut => false,
        }
}

/// The record for an output that shows bodies like this, made of one that suffices for it. Both end with a LF.
///
/// # Errors
/// When the line is no JSON object.
pub(super) fn derive(line: &[u8], body: Body) -> serde_json::Result<Cow<'_, [u8]>> {
    if body != Body::None {
        return Ok(Cow::Borrowed(line));
    }
    let mut out = Vec::with_capacity(line.len());
    for (key, value) in entries(line)? {
        if !matches!(key.as_str(), "json" | "body" | "body_base64") {
            out.push(if out.is_empty() { b'{' } else { b',' });
            serde_json::to_writer(&mut out, &key)?;
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(Cow::Owned(out))
}

/// The keys of a record and their values as text, in their order.
fn entries(line: &[u8]) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a record")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    serde_json::Deserializer::from_slice(line.trim_ascii_end()).deserialize_map(Object)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::item::{self, Echo, Identity, Kind, Outcome, Record, Rejection, Response};
    use crate::output::{Parsed, RecordReader};
    use crate::sink::jsonl::JsonLines;
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
                body: item::Body { data: data.into(), bytes, ..item::Body::default() },
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

    fn body_of(line: &[u8]) -> BodyShown {
        let Parsed::Records(records) = JsonLines.parse(line) else { panic!("not ours") };
        records[0].1.as_ref().unwrap().body
    }

    fn any_response() -> impl Strategy<Value = Option<(Vec<u8>, &'static str)>> {
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
        fn what_is_derived_is_what_would_have_been_written(response in any_response()) {
            let has_response = response.is_some();
            let record = record(response);
            for from in BODIES {
                let written = line(&record, from);
                for to in BODIES {
                    let suffices = suffices(body_of(&written), from, to);
                    prop_assert_eq!(suffices, from == to || to == Body::None || !has_response, "{:?} to {:?}", from, to);
                    if suffices {
                        prop_assert_eq!(derive(&written, to).unwrap().into_owned(), line(&record, to), "{:?} to {:?}", from, to);
                    }
                }
            }
        }
    }
}

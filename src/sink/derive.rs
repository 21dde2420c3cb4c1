//! Derives a line's record for one output from its record in another: a copy, or a copy without the body.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::BodyFormat;
use crate::output::BodyShown;

/// Whether the record for an output with body format `to` can be derived from a record in an output with format `from`.
pub(super) fn suffices(body: BodyShown, from: BodyFormat, to: BodyFormat) -> bool {
    to == BodyFormat::None
        || match body {
            BodyShown::NoResponse => true,
            BodyShown::Shown => from == to,
            BodyShown::LeftOut => false,
        }
}

/// Derives a record with body format `body` from one that [`suffices`]. Both end with LF.
///
/// # Errors
/// When the line is no JSON object.
pub(super) fn derive(line: &[u8], body: BodyFormat) -> serde_json::Result<Cow<'_, [u8]>> {
    if body != BodyFormat::None {
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

/// The keys of a record and their raw JSON values, in order.
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

//! Writes one JSON object key by key, without a map in between.

use serde::Serialize;

/// One JSON object that is written key by key to the end of a buffer.
pub(super) struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    /// What goes before the next key.
    before: u8,
}

impl<'a> JsonWriter<'a> {
    /// Begins one.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, before: b'{' }
    }

    /// Writes a key that needs no escapes; its value, as JSON, is to be written next.
    pub fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        self.out.extend([self.before, b'"']);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.before = b',';
        self.out
    }

    /// Writes a key and its value.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> serde_json::Result<()> {
        serde_json::to_writer(self.key(key), value)
    }

    /// The same for a value that may be missing: then its key is, too.
    pub fn put_some<T: Serialize>(&mut self, key: &'static str, value: Option<T>) -> serde_json::Result<()> {
        value.map_or(Ok(()), |value| self.put(key, &value))
    }

    /// Writes a key and a long text: byte by byte, as serde_json escapes it, that is a seventh of what a page costs.
    pub fn put_text(&mut self, key: &'static str, text: &str) {
        json_escape_simd::escape_into(text, self.key(key));
    }

    /// Ends the object, which has a key at least.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_long_text_is_escaped_as_any_other_value(parts in prop::collection::vec("[ -~]{0,40}|\\PC{0,9}|[\x00-\x1f\"\\\\/\x7f]", 0..40)) {
            let text = parts.concat();
            let [mut one, mut other] = [Vec::new(), Vec::new()];
            JsonWriter::begin(&mut one).put_text("body", &text);
            JsonWriter::begin(&mut other).put("body", &text).unwrap();
            prop_assert_eq!(String::from_utf8(one).unwrap(), String::from_utf8(other).unwrap());
        }
    }
}

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

    /// Ends the object, which has a key at least.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

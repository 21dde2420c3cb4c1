//! JSON text that is passed on unparsed: only white space outside strings is removed.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The deepest nesting that common readers accept: serde_json allows 127 levels, of which the record is one.
const MAX_DEPTH: u32 = 126;

/// A JSON value as text, to store without parsing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Serialises a value.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        to_raw_value(value).map(Self)
    }

    /// Deserialises the value.
    ///
    /// # Errors
    /// When the value does not fit the type.
    pub fn read<'de, T: Deserialize<'de>>(&'de self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for RawJson {}

/// Removes white space outside strings from JSON text; keeps numbers, key order and duplicate keys.
///
/// `None` if the text is not JSON, or if common readers reject it: nested too deeply, with half a surrogate pair in an
/// escape, or with a number beyond the range of a double.
pub fn compact(text: &str) -> Option<Box<RawValue>> {
    let squeezed = squeeze(text)?;
    RawValue::from_string(squeezed).ok()
}

/// Removes white space outside strings. The parser checks whether the result is JSON.
fn squeeze(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut depth = 0u32;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'"' => {
                let end = string_end(bytes, at)?;
                out.extend_from_slice(&bytes[at..end]);
                at = end;
                continue;
            }
            b' ' | b'\t' | b'\n' | b'\r' => separate(&mut out, bytes, at),
            b'-' | b'0'..=b'9' => {
                let number = number_at(&bytes[at..])?;
                out.extend_from_slice(number);
                at += number.len();
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return None;
        }
        if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            out.push(byte);
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}

/// Keeps one space between two words, so that `1 2` does not become the valid `12`.
fn separate(out: &mut Vec<u8>, bytes: &[u8], at: usize) {
    let is_word =
        |byte: &u8| !matches!(byte, b'[' | b']' | b'{' | b'}' | b',' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
    if out.last().is_some_and(is_word) && bytes.get(at + 1).is_some_and(is_word) {
        out.push(b' ');
    }
}

/// The number that begins here; `None` if it is infinite as a double, which only long numbers and exponents can be.
fn number_at(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    let number = &bytes[..length.unwrap_or(bytes.len())];
    let may_leave = number.len() > 300 || number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let value = || std::str::from_utf8(number).ok()?.parse::<f64>().ok();
    (!may_leave || value().is_none_or(f64::is_finite)).then_some(number)
}

/// The index after the closing quote; `None` for an open string or half a surrogate pair.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        match escaped_unit(bytes, at) {
            Some(0xdc00..=0xdfff) => return None,
            Some(0xd800..=0xdbff) => match escaped_unit(bytes, at + 6) {
                Some(0xdc00..=0xdfff) => at += 12,
                _ => return None,
            },
            _ => at += 2,
        }
    }
}

/// The UTF-16 unit of a `\uXXXX` at this index.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compacted(text: &str) -> Option<String> {
        compact(text).map(|raw| raw.get().to_owned())
    }

    #[test]
    fn numbers_order_and_duplicates_survive() {
        let text = "{ \"b\" : 1.000000000000000000001 ,\r\n\t\"a\":[1e99 , -0], \"b\": \" x  y \" }";
        let want = r#"{"b":1.000000000000000000001,"a":[1e99,-0],"b":" x  y "}"#;
        assert_eq!(compacted(text).as_deref(), Some(want));
    }

    #[test]
    fn white_space_that_separates_is_not_removed_into_validity() {
        for text in ["1 2", "tr ue", "[1 2]", "{\"a\" 1}", "1\n2", ""] {
            assert_eq!(compacted(text), None, "{text}");
        }
    }

    #[test]
    fn what_common_readers_reject_is_not_json() {
        assert_eq!(compacted(r#""\ud800""#), None);
        assert_eq!(compacted(r#""\udc00\ud800""#), None);
        assert_eq!(compacted(r#""\ud83d\ude00""#).as_deref(), Some(r#""\ud83d\ude00""#));
        assert_eq!(compacted(r#""\\ud800""#).as_deref(), Some(r#""\\ud800""#));
        assert_eq!(compacted("[1, -1e400]"), None);
        assert_eq!(compacted(&"9".repeat(400)), None);
        assert_eq!(compacted("[1e-400,1E+30]").as_deref(), Some("[1e-400,1E+30]"));
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(compacted(&nest(126)).is_some() && compacted(&nest(127)).is_none());
    }

    proptest! {
        #[test]
        fn compacting_changes_no_value(numbers in prop::collection::vec(any::<i64>(), 0..8), text in ".{0,12}") {
            let value = serde_json::json!({ "n": numbers, "t": text, "nested": [{ "x": null }, true] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compacted(&pretty), Some(value.to_string()));
        }

        #[test]
        fn whatever_is_compacted_was_json_before(text in "[\\[\\]{}:, \"\\\\a0u]{0,24}") {
            if compact(&text).is_some() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
            }
        }
    }
}

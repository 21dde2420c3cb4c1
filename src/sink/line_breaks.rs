//! Escapes the characters that some readers take for line ends: NEL, LINE SEPARATOR and PARAGRAPH SEPARATOR (UAX #14;
//! Python's `str.splitlines`, JavaScript before 2019). JSON allows them unescaped, other than control characters.

/// Escapes line breaks in the JSON text from byte `start` of the buffer on. They occur only in strings, so the values
/// stay the same.
pub(super) fn escape_line_breaks(out: &mut Vec<u8>, start: usize) {
    let Some((first, _)) = next_break(&out[start..]) else { return };
    let rest = out.split_off(start + first);
    let mut rest = rest.as_slice();
    while let Some((at, found)) = next_break(rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(found.escape);
        rest = &rest[at + found.bytes.len()..];
    }
    out.extend_from_slice(rest);
}

/// A line break in UTF-8, and its JSON escape.
struct LineBreak {
    bytes: &'static [u8],
    escape: &'static [u8],
}

const LINE_BREAKS: [LineBreak; 3] = [
    LineBreak { bytes: "\u{85}".as_bytes(), escape: br"\u0085" },
    LineBreak { bytes: "\u{2028}".as_bytes(), escape: br"\u2028" },
    LineBreak { bytes: "\u{2029}".as_bytes(), escape: br"\u2029" },
];

/// The first line break and its offset. Most text has neither of the two leading bytes that the search looks for.
fn next_break(text: &[u8]) -> Option<(usize, &'static LineBreak)> {
    memchr::memchr2_iter(0xc2, 0xe2, text)
        .find_map(|at| Some((at, LINE_BREAKS.iter().find(|found| text[at..].starts_with(found.bytes))?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str, start: usize) -> String {
        let mut out = text.as_bytes().to_vec();
        escape_line_breaks(&mut out, start);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_begins_like_a_line_break_and_is_none_stays() {
        let text = "\u{84}\u{86}\u{a0}\u{2027}\u{202a}\u{20ac}\u{e2}\u{c2}";
        assert_eq!(escaped(text, 0), text);
        assert_eq!(escaped("\u{2028}a\u{2028}", 3), "\u{2028}a\\u2028");
    }

    proptest! {
        #[test]
        fn the_text_is_one_line_and_the_same_value(text in "[a\"\\\\\u{85}\u{2028}\u{2029}\u{a0}\u{20ac}\u{1F600}\n\u{b}\u{1c}]{0,24}") {
            let value = serde_json::json!({ (text.clone()): [text] });
            let line = escaped(&value.to_string(), 0);
            let is_one_line = !line.contains(['\u{85}', '\u{2028}', '\u{2029}', '\n', '\u{b}', '\u{1c}']);
            prop_assert!(is_one_line);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
        }
    }
}

//! Escapes untrusted text for a terminal: control characters, and characters that reorder or hide others.

use std::fmt::Write;

/// Whether a character can mislead the reader: control characters, and those that order, join or hide others (Unicode
/// Technical Report 36, "Bidirectional Text Spoofing").
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// An escaped text in one line.
pub(super) fn safe(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
        out
    })
}

/// An escaped text of several lines, without a line end at its end.
pub(super) fn safe_lines(text: &str) -> String {
    text.trim_end().lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// The first line of a text, with the next one if it ends in a colon, and with `…` if there are more.
pub(super) fn first_line(text: &str) -> String {
    let mut lines = text.trim_end().lines();
    let mut first = lines.next().unwrap_or_default().to_owned();
    if let Some(reason) = lines.next().filter(|_| first.ends_with(':')) {
        first = format!("{first} {}", reason.trim_start());
    } else if text.trim_end().contains('\n') {
        return format!("{first} …");
    }
    if lines.next().is_some() { format!("{first} …") } else { first }
}

/// Equivalent JSON in which unsafe characters are escaped.
pub(super) fn json_safe(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if c != '\n' && is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn characters_that_control_a_terminal_are_shown_as_their_numbers() {
        assert_eq!(safe("a\u{1b}[2J\n\u{202e}b\u{9b}é"), "a\\u{1b}[2J\\n\\u{202e}b\\u{9b}é");
        assert_eq!(safe_lines("error: a\u{1b}\n  --> b\n"), "error: a\\u{1b}\n  --> b");
        let cases =
            [("a\n", "a"), ("a\nb", "a …"), ("a:\n b", "a: b"), ("a:\nb\nc", "a: b …"), ("a:\n", "a:"), ("", "")];
        for (text, line) in cases {
            assert_eq!(first_line(text), line);
        }
        assert_eq!(json_safe("{\"a\":\"\u{202e}\u{9b}é\u{e0041}\"}"), "{\"a\":\"\\u202e\\u009bé\\udb40\\udc41\"}");
    }

    proptest! {
        #[test]
        fn safe_json_has_the_same_value(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let safe = json_safe(&json);
            prop_assert!(!safe.chars().any(is_unsafe), "{}", safe);
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}

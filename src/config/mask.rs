//! Hides values in the text that reports show, every place staying where it is.

use std::ops::Range;

use super::keys::is_shown;

/// The text with the bytes of these ranges replaced.
pub(super) fn mask(text: &str, hidden: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in hidden {
        for byte in bytes.get_mut(range.clone()).into_iter().flatten().filter(|byte| !byte.is_ascii_whitespace()) {
            *byte = b'*';
        }
    }
    // A range that cuts a character in two would leave half of it; then rather nothing is shown.
    String::from_utf8(bytes).unwrap_or_else(|_| text.bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect())
}

/// What to hide in the lines that these spans touch: everything but table headers and keys known to hold no secret.
pub(super) fn lines_around(text: &str, spans: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let spans: Vec<_> = spans.collect();
    let mut hidden = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if spans.iter().any(|span| span.start < end && start <= span.end) {
            hidden.extend(harmful(line).map(|from| start + from..end));
        }
        start = end;
    }
    hidden
}

/// From where on a line may not be shown.
fn harmful(line: &str) -> Option<usize> {
    if line.trim_start().starts_with(['[', '#']) || line.trim().is_empty() {
        return None;
    }
    let mut from = 0;
    loop {
        let Some(sign) = line[from..].find(['=', ':']).map(|at| from + at) else {
            return (from == 0).then_some(0);
        };
        let key = line[from..sign].rsplit(|c: char| !(c.is_ascii_alphanumeric() || "-_\"' \t".contains(c))).next();
        let key = key.unwrap_or_default().trim_matches(['"', '\'', ' ', '\t']);
        let key = key.split_whitespace().next_back().unwrap_or_default();
        if !is_shown(key) {
            return Some(sign + 1);
        }
        from = sign + 1;
    }
}

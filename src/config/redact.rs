//! Redacts secret values in the configuration text that reports show. Offsets stay the same.

use std::ops::Range;

use super::keys::Keys;

/// Replaces the bytes of these ranges by `*`.
pub(super) fn redact(text: &str, hidden: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in hidden {
        for byte in bytes.get_mut(range.clone()).into_iter().flatten().filter(|byte| !byte.is_ascii_whitespace()) {
            *byte = b'*';
        }
    }
    // If a range splits a character, everything is hidden.
    String::from_utf8(bytes).unwrap_or_else(|_| text.bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect())
}

/// Finds ranges to hide without a parse: everything except table headers and keys that are known to be no secrets.
pub(super) fn by_line(text: &str, keys: &Keys) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        hidden.extend(harmful(line, keys).map(|from| start + from..end));
        start = end;
    }
    hidden
}

/// The offset from which on a line must not be shown.
fn harmful(line: &str, keys: &Keys) -> Option<usize> {
    let blank = line.trim().is_empty() || line.trim_start().starts_with('#');
    let header = line.trim_start().starts_with('[') && !line.contains('=');
    if blank || header {
        return None;
    }
    let mut from = 0;
    loop {
        let sign = line[from..].find(['=', ':']).map(|at| from + at);
        let Some(sign) = sign else { return (from == 0).then_some(0) };
        let key = key_before(&line[from..sign]);
        if from == 0 && key.is_none() {
            return Some(0);
        }
        if !key.is_some_and(|key| keys.is_shown(key)) {
            return Some(sign + 1);
        }
        from = sign + 1;
    }
}

/// The last key of a dotted path before a sign, also in a later part of a line.
fn key_before(text: &str) -> Option<&str> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "-_\"'*. \t".contains(c);
    let key = text.trim().trim_matches(['"', '\'', '[', ']']);
    let last = key.rsplit(['.', ' ', '\t', ',', '{']).next()?;
    key.chars().all(is_key).then_some(last)
}

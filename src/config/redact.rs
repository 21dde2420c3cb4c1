//! Redacts secret values in the configuration text that reports show. Offsets stay the same.

use std::ops::Range;

use super::keys::Keys;

/// Replaces the bytes of these ranges by `*`, except those of `${NAME}` and `${file:PATH}`: a name is no secret.
pub(super) fn redact(text: &str, hidden: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in hidden {
        let mut from = range.start;
        let names = text.get(range.clone()).map(references).unwrap_or_default();
        for name in names {
            hide(&mut bytes, from..range.start + name.start);
            from = range.start + name.end;
        }
        hide(&mut bytes, from..range.end);
    }
    // If a range splits a character, everything is hidden.
    String::from_utf8(bytes).unwrap_or_else(|_| text.bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect())
}

fn hide(bytes: &mut [u8], range: Range<usize>) {
    for byte in bytes.get_mut(range).into_iter().flatten().filter(|byte| !byte.is_ascii_whitespace()) {
        *byte = b'*';
    }
}

/// The places of `${NAME}` and `${file:PATH}` in a value, as `expand` reads them: `$$` is a dollar sign.
fn references(value: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(dollar) = value[at..].find('$').map(|offset| at + offset) {
        let rest = &value[dollar + 1..];
        let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
        at = match name.filter(|name| is_reference(name)) {
            Some(name) => {
                let end = dollar + "${}".len() + name.len();
                found.push(dollar..end);
                end
            }
            None if rest.starts_with('$') => dollar + "$$".len(),
            None => dollar + "$".len(),
        };
    }
    found
}

fn is_reference(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.strip_prefix("file:") {
        Some(path) => !path.is_empty() && path.chars().all(|c| is_plain(c) || "/.-".contains(c)),
        None => !name.is_empty() && name.chars().all(is_plain),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_files_and_variables_are_shown_and_all_else_is_hidden() {
        for (value, shown) in [
            ("'Bearer ${file:token}'", "******* ${file:token}*"),
            ("'${file:/run/secrets/a-b.c}'", "*${file:/run/secrets/a-b.c}*"),
            ("'k-${KEY}-${file:t}x'", "***${KEY}*${file:t}**"),
            // A dollar sign that is written twice begins no name.
            ("'$${file:token}'", "****************"),
            ("'$$${file:token}'", "***${file:token}*"),
            ("'$ {file:token} $'", "** ************ **"),
            ("'${file:token'", "**************"),
            ("'${fil:secret}'", "***************"),
            ("'${file:a\"b}'", "*************"),
            ("'${}${file:}'", "*************"),
            ("'é$'", "*****"),
        ] {
            let text = format!("a = {value}\n");
            let range = 4..4 + value.len();
            assert_eq!(redact(&text, std::slice::from_ref(&range)), format!("a = {shown}\n"), "{value}");
        }
    }
}

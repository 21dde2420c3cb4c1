//! The path patterns of a robots.txt: `*` stands for anything, and `$` at the end for the end of the path (RFC 9309,
//! section 2.2.3).

use std::borrow::Cow;

/// Whether a rule allows the paths that it matches. Of equally long rules, the one that allows comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::schedule) enum Access {
    Allow,
    Disallow,
}

/// A rule of a robots.txt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::schedule) struct Pattern {
    access: Access,
    text: Box<str>,
}

impl Pattern {
    /// A rule with this escaped pattern.
    pub fn new(access: Access, text: String) -> Self {
        Self { access, text: text.into() }
    }

    pub fn access(&self) -> Access {
        self.access
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number of its wildcards: each can cost a scan of the whole path.
    pub fn wildcards(&self) -> usize {
        memchr::memchr_iter(b'*', self.text.as_bytes()).count()
    }

    /// Whether an escaped path begins with the pattern, or, with `$`, matches it as a whole. The parts between
    /// wildcards are searched in order, each at its first place, because a later place leaves less for those after it.
    pub fn matches(&self, path: &str) -> bool {
        let (pattern, is_anchored) = match self.text.strip_suffix('$') {
            Some(pattern) => (pattern, true),
            None => (&*self.text, false),
        };
        let mut parts = pattern.split('*');
        let Some(mut rest) = parts.next().and_then(|head| path.strip_prefix(head)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() || !is_anchored };
        for part in parts {
            let Some(found) = memchr::memmem::find(rest.as_bytes(), part.as_bytes()) else { return false };
            rest = &rest[found + part.len()..];
        }
        match is_anchored {
            true => rest.ends_with(last),
            false => memchr::memmem::find(rest.as_bytes(), last.as_bytes()).is_some(),
        }
    }
}

/// Normalises a path or pattern for comparison: octets beyond ASCII are percent-encoded, with the digits in upper case.
pub(in crate::schedule) fn escape(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte < 0x80 && byte != b'%') {
        Cow::Borrowed(text)
    } else {
        escape_bytes(text.as_bytes()).into()
    }
}

/// The same for text that need not be UTF-8.
pub(in crate::schedule) fn escape_bytes(text: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = String::with_capacity(text.len());
    // The bytes that are left of the current escape.
    let mut left = 0;
    for (place, byte) in text.iter().enumerate() {
        if *byte >= 0x80 {
            escaped.push('%');
            escaped.extend([byte >> 4, byte & 0xf].map(|digit| char::from(DIGITS[usize::from(digit)])));
            continue;
        }
        let digits = || text.get(place + 1..place + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if left == 0 && *byte == b'%' && digits() {
            left = 3;
        }
        escaped.push(char::from(if left > 0 { byte.to_ascii_uppercase() } else { *byte }));
        left = usize::saturating_sub(left, 1);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every way to match, one character at a time.
    fn matches_slowly(path: &[u8], pattern: &[u8]) -> bool {
        match pattern {
            [] => true,
            b"$" => path.is_empty(),
            [b'*', rest @ ..] => (0..=path.len()).any(|n| matches_slowly(&path[n..], rest)),
            [byte, rest @ ..] => path.first() == Some(byte) && matches_slowly(&path[1..], rest),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_pattern_matches_as_its_definition_says(path in "/[ab/]{0,8}", pattern in "[/*][ab/*$]{0,7}[$*]?") {
            let expected = matches_slowly(path.as_bytes(), pattern.as_bytes());
            prop_assert_eq!(Pattern::new(Access::Allow, pattern).matches(&path), expected);
        }
    }

    #[test]
    fn octets_are_escaped_once() {
        for (text, escaped) in [("/é", "/%C3%A9"), ("/%c3%a9", "/%C3%A9"), ("/%zz%4", "/%zz%4"), ("/%%aa", "/%%AA")] {
            assert_eq!(escape(text), escaped);
        }
    }
}

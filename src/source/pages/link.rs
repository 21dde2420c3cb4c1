//! Parses the header `Link` (RFC 8288).
//!
//! By hand, because the crate for it depends on a regular expression engine.

/// The target of the first link with this relation, as written. Links from another context than the page (`anchor`) are
/// skipped.
pub(super) fn target<'a>(values: impl IntoIterator<Item = &'a str>, relation: &str) -> Option<&'a str> {
    values.into_iter().flat_map(Links::of).find(|link| link.has(relation)).map(|link| link.target)
}

struct Link<'a> {
    target: &'a str,
    /// The first `rel`; others are ignored.
    relations: Option<String>,
    has_anchor: bool,
}

impl Link<'_> {
    fn has(&self, relation: &str) -> bool {
        let relations = self.relations.as_deref().unwrap_or_default();
        !self.has_anchor && relations.split_ascii_whitespace().any(|own| own.eq_ignore_ascii_case(relation))
    }
}

/// The links of one value.
struct Links<'a> {
    rest: &'a str,
}

impl<'a> Links<'a> {
    fn of(value: &'a str) -> Self {
        Self { rest: value }
    }

    /// Skips to behind the next of these characters outside of quotes, and returns it.
    fn skip_to(&mut self, ends: &[char]) -> Option<char> {
        let (mut is_quoted, mut is_escaped) = (false, false);
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                c if !is_quoted && ends.contains(&c) => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Some(c);
                }
                _ => {}
            }
        }
        self.rest = "";
        None
    }

    /// Reads the next parameter of a link, if there is one.
    fn parameter(&mut self) -> Option<(&'a str, String)> {
        self.rest = self.rest.trim_start();
        self.rest = self.rest.strip_prefix(';')?.trim_start();
        let text = self.rest;
        let end = self.skip_to(&[';', ',']);
        let length = text.len() - self.rest.len() - end.map_or(0, char::len_utf8);
        // The separator belongs to the next parameter.
        self.rest = &text[length..];
        let (name, value) = text[..length].split_once('=').unwrap_or((&text[..length], ""));
        Some((name.trim(), unquoted(value.trim())))
    }
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
            if self.rest.is_empty() {
                return None;
            }
            let Some((target, rest)) = self.rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
                // Not a link; there may be one after the next comma.
                self.skip_to(&[',']);
                continue;
            };
            self.rest = rest;
            let mut link = Link { target: target.trim(), relations: None, has_anchor: false };
            while let Some((name, value)) = self.parameter() {
                link.has_anchor |= name.eq_ignore_ascii_case("anchor");
                if name.eq_ignore_ascii_case("rel") {
                    link.relations.get_or_insert(value);
                }
            }
            self.skip_to(&[',']);
            return Some(link);
        }
    }
}

/// The value of a quoted string or a token.
fn unquoted(text: &str) -> String {
    let Some(quoted) = text.strip_prefix('"') else { return text.to_owned() };
    let mut value = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_is_found_however_it_is_written() {
        for value in [
            r#"</b>; rel="next""#,
            "</b>; rel=next",
            "</b>;rel=NEXT",
            r#"</a>; rel="prev", </b>; rel="next", </c>; rel="last""#,
            r#"</b>; rel="last next""#,
            "</b> ; title=\"a, <b>; rel=x\\\" \" ; REL = \"next\"",
            r#"</b>; rel="next"; rel="prev""#,
            r#",, </a>; rel=prev ,</b>;rel=next"#,
            r#"nothing, </b>; rel=next"#,
            r#"</a>; rel=next; anchor="/other", </b>; rel=next"#,
            "</b>; crossorigin; rel=next; hreflang=en",
        ] {
            assert_eq!(target([value], "next"), Some("/b"), "{value}");
        }
        assert_eq!(target(["</a,b>; rel=next"], "next"), Some("/a,b"));
        assert_eq!(target(["<>; rel=next"], "next"), Some(""));
        assert_eq!(target(["</a>; rel=prev", "</b>; rel=next", "</c>; rel=next"], "next"), Some("/b"));
        assert_eq!(target(["</a>; rel=https://example.com/more"], "https://example.com/MORE"), Some("/a"));
    }

    #[test]
    fn what_has_another_relation_or_none_is_no_such_link() {
        for value in [
            "",
            "</b>",
            "</b>; rel",
            "</b>; rel=nextpage",
            r#"</b>; rel="prev"; rel="next""#,
            r#"</b>; title="; rel=next""#,
            "</b; rel=next",
            r##"</b>; rel=next; anchor="#x""##,
        ] {
            assert_eq!(target([value], "next"), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn links_are_read_back_whatever_stands_between_them(
            links in prop::collection::vec(("[a-z/?=&,;]{0,8}", "[a-z]{1,3}( [a-z]{1,3})?", "[ -~]{0,12}"), 1..5),
        ) {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let link = |(to, rel, title): &(String, String, String)| {
                format!("<{to}>; title=\"{}\"; rel=\"{rel}\"", quoted(title))
            };
            let value = links.iter().map(link).collect::<Vec<_>>().join(" , ");
            for (_, relations, _) in &links {
                let relation = relations.split(' ').next().unwrap();
                let first = links.iter().find(|(_, rel, _)| rel.split(' ').any(|rel| rel == relation)).unwrap();
                prop_assert_eq!(target([value.as_str()], relation), Some(first.0.as_str()));
            }
        }

        #[test]
        fn no_value_breaks_it(value in "[<>;,=\" \\\\a-z]{0,40}") {
            let _ = target([value.as_str()], "next");
        }
    }
}

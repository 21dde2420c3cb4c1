//! Advice for the usual mistakes in lists of URLs. It repeats nothing of the line, which may contain a password.

/// The advice for a text that is not a URL, if it is one of the usual mistakes.
pub(super) fn advice(text: &str) -> Option<&'static str> {
    let found = || MISTAKES.iter().find(|(is_it, _)| is_it(text)).map(|(_, advice)| *advice);
    Some(text).filter(|text| is_url(text)).and_then(more).or_else(found)
}

/// The advice for a URL that is followed by a second one or a comment, which a parser would include in the URL. Other
/// words stay part of the URL, because some paths have spaces.
pub(super) fn advice_for_more(text: &str) -> Option<&'static str> {
    // Few URLs have a space.
    if text.is_ascii() && memchr::memchr(b' ', text.as_bytes()).is_none() { None } else { more(text) }
}

fn more(text: &str) -> Option<&'static str> {
    if has_second_url(text) {
        Some(SEVERAL_URLS)
    } else if text.split(char::is_whitespace).skip(1).any(|word| word.starts_with('#')) {
        Some("the URL has a space before `#`; remove the comment, or write %20 and %23 if both are part of the path")
    } else {
        None
    }
}

/// The advice for bytes that are not UTF-8.
pub(super) fn advice_for_bytes(line: &[u8]) -> &'static str {
    if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") || line.contains(&0) {
        UTF_16
    } else {
        "the line is not UTF-8; if the list is ISO 8859-1 or Windows-1252, convert it: iconv -f WINDOWS-1252 -t UTF-8"
    }
}

const UTF_16: &str =
    "the line is UTF-16 or another text with zero bytes; convert the list to UTF-8: iconv -f UTF-16 -t UTF-8";

const SEVERAL_URLS: &str = "the line has more than one URL; put each on its own line";

/// Whether a text is a mistake of this kind.
type Test = fn(&str) -> bool;

/// The usual mistakes with their advice; the first match counts.
const MISTAKES: [(Test, &str); 13] = [
    (|text| text.contains('\0'), UTF_16),
    (
        |text| text.starts_with(['\u{feff}', '\u{200b}', '\u{200e}', '\u{2060}']),
        "the line begins with an invisible character (a byte order mark or a zero-width character); remove it",
    ),
    (
        |text| text.starts_with('#'),
        "the line looks like a comment, for which there is no syntax; remove it: grep -v '^#'",
    ),
    (
        |text| QUOTES.iter().any(|(open, close)| is_enclosed(text, *open, *close)),
        "the URL is in quotes or brackets; remove them",
    ),
    (|text| text.starts_with('['), "the line begins a JSON array; write one URL or one object per line: jq -c '.[]'"),
    (is_windows_path, "the line is a Windows path; only http and https URLs can be fetched"),
    (
        |text| text.starts_with(['/', '~', '.']) && !text.starts_with("//"),
        "the line is a path, or a URL without a host; add http:// or https:// and the host",
    ),
    (
        |text| has_url_after(text, &[',', ';', '\t', '|']),
        "the line is a row of a table (CSV); write the URL alone on its line",
    ),
    (
        |text| has_url_after(text, &[]),
        "the line has text before the URL; write the URL alone on its line, or an object such as {\"url\": \"https://...\"}",
    ),
    (|text| text.contains('\t'), "the line has a tab; if it is a row of a table, write the URL alone on its line"),
    (|text| text.starts_with("http//") || text.starts_with("https//"), "the colon after http or https is missing"),
    (
        |text| is_url(text) && text.contains(char::is_whitespace),
        "the URL has a space in an invalid place; write it as %20, or put each URL on its own line",
    ),
    (
        |text| text.contains(char::is_whitespace),
        "the line has several words and is not a URL; a URL begins with http:// or https://",
    ),
];

const QUOTES: [(char, char); 8] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('<', '>'),
    ('(', ')'),
    ('[', ']'),
    ('\u{201c}', '\u{201d}'),
    ('\u{ab}', '\u{bb}'),
];

/// Whether the text begins like a URL or the name of a web server.
fn is_url(text: &str) -> bool {
    let begins = |start: &str| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    begins("http://") || begins("https://") || begins("www.")
}

/// Whether a word after the first begins like a URL, also in quotes or brackets.
fn has_second_url(text: &str) -> bool {
    let opening = QUOTES.map(|(open, _)| open);
    let begins = |word: &str| {
        let scheme = word.trim_start_matches(opening).split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    text.split(char::is_whitespace).skip(1).any(begins)
}

/// Whether the text is a URL in quotes or brackets, with or without a comma after it as in source code.
fn is_enclosed(text: &str, open: char, close: char) -> bool {
    let inner = text.trim_end_matches([',', ';']).strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    inner.is_some_and(|inner| is_url(inner) && !inner.contains([open, close]))
}

/// Whether the text begins with `C:\`, `C:/` or `\\server`.
fn is_windows_path(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_drive = matches!(bytes, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    has_drive || text.starts_with("\\\\")
}

/// Whether the text has a URL after its start, and one of these separators if any are given.
fn has_url_after(text: &str, separators: &[char]) -> bool {
    let urls = || ["http://", "https://"].iter().filter_map(|start| text.find(start));
    urls().any(|at| at > 0) && !is_url(text) && (separators.is_empty() || text.contains(separators))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_usual_mistakes_has_its_advice() {
        for (line, says) in [
            ("h\0t\0t\0p\0", "iconv"),
            ("\u{feff}http://a.test/", "invisible"),
            ("# comment", "comment"),
            ("#http://a.test/", "comment"),
            ("\"https://a.test/\"", "quotes"),
            ("'https://a.test/',", "quotes"),
            ("<https://a.test/>", "quotes"),
            ("\u{201c}www.a.test\u{201d}", "quotes"),
            ("[\"https://a.test/\", \"https://b.test/\"]", "JSON array"),
            ("[", "JSON array"),
            ("C:\\Users\\me\\list.txt", "Windows"),
            ("c:/list.txt", "Windows"),
            ("\\\\server\\share", "Windows"),
            ("/var/www/index.html", "path"),
            ("../index.html", "path"),
            ("1,https://a.test/,200", "table"),
            ("\"a\",\"https://a.test/\"", "table"),
            ("name\thttps://a.test/", "table"),
            ("url: https://a.test/", "before the URL"),
            ("- https://a.test/", "before the URL"),
            ("1. https://a.test/", "before the URL"),
            ("<a href=\"https://a.test/\">", "before the URL"),
            ("https//a.test/", "colon"),
            ("https://a.test/a\tb", "tab"),
            ("https://a.test/\thttps://b.test/", "more than one URL"),
            ("https://a b.test/ https://c.test/", "more than one URL"),
            ("https://a b.test/", "%20"),
            ("not a url", "several words"),
        ] {
            assert!(advice(line).is_some_and(|advice| advice.contains(says)), "{line}: {:?}", advice(line));
        }
        for line in ["example.com", "www.example.com/a", "localhost:80", "//example.com/", "ftp://a.test/", "word"] {
            assert_eq!(advice(line), None, "{line}");
        }
    }

    #[test]
    fn a_url_and_more_has_its_advice_and_a_url_with_spaces_has_none() {
        for more in [
            " http://b.test/",
            "   HTTPS://b.test/",
            ", http://b.test/",
            "; http://b.test/",
            " | http://b.test/",
            " and http://b.test/",
            " <http://b.test/>",
            " (\"http://b.test/\")",
            " ftp://b.test/",
            "\u{a0}http://b.test/",
            "\u{3000}http://b.test/",
        ] {
            let advice = advice_for_more(&format!("http://a.test/x{more}"));
            assert_eq!(advice, Some(SEVERAL_URLS), "{more}");
        }
        for comment in [" # note", " #note", "  ## a note", " #1.pdf"] {
            assert!(
                advice_for_more(&format!("http://a.test/x{comment}")).is_some_and(|advice| advice.contains("comment"))
            );
        }
        for part in [
            "",
            "#fragment",
            "a file.pdf",
            " - Title",
            " \"Title\"",
            " 200 OK",
            " www.b.test",
            "?to=http://b.test/",
            "/http://b.test/",
            ",http://b.test/",
            "?q=see:http://b.test/ there",
            " ://",
            "caf\u{e9} au lait",
        ] {
            assert_eq!(advice_for_more(&format!("http://a.test/x{part}")), None, "{part}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_have_the_encoding_that_they_look_like() {
        assert!(advice_for_bytes(b"\xff\xfeh\0").contains("UTF-16"));
        assert!(advice_for_bytes(b"\0\xe9").contains("UTF-16"));
        assert!(advice_for_bytes(b"http://h/caf\xe9").contains("WINDOWS-1252"));
    }
}

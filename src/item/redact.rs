//! Hides possible passwords in the text of rejected lines.
//!
//! In: the text of a line. Out: the text for its record.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Hides a possible password in a text that may be a URL: everything between the first colon after the scheme and the
/// last `@`. It hides too much rather than too little, so it is for rejected lines only.
pub(super) fn redact(text: &str) -> String {
    let secret = || {
        let scheme = text.find(':')?;
        let rest = &text[scheme + 1..];
        let user = text.len() - rest.trim_start_matches(['/', '\\']).len();
        let at = text.rfind('@').filter(|at| *at >= user)?;
        let colon = text[user..at].find(':').map(|colon| user + colon);
        // Without slashes the first colon may itself be the one before the password.
        let colon = colon.or_else(|| (user == scheme + 1).then_some(scheme))?;
        Some((colon, at))
    };
    match secret() {
        Some((colon, at)) => format!("{}:***{}", &text[..colon], &text[at..]),
        None => text.to_owned(),
    }
}

/// The text up to a colon that may begin a password whose end was cut off.
pub(super) fn cut_before_password(text: &str) -> &str {
    let authority = text.find("//").map_or(0, |slashes| slashes + 2);
    let end = text[authority..].find(['/', '?', '#', '@']);
    let colon = text[authority..].find(':').filter(|_| end.is_none());
    colon.map_or(text, |colon| &text[..authority + colon + 1])
}

/// The object with the password of its URL hidden; `Err` is the whole text redacted, if its URL cannot be found.
pub(super) fn hide_url(raw: &RawValue) -> Result<Box<RawValue>, String> {
    /// Only the URL, so that other errors do not matter.
    #[derive(Deserialize)]
    struct Only<'a> {
        #[serde(borrow)]
        url: Option<&'a RawValue>,
    }
    let text = raw.get();
    let url = serde_json::from_str::<Only<'_>>(text).ok().and_then(|only| only.url);
    let url = url.ok_or_else(|| redact_json(text))?;
    // Decoded first, because any character around a password may be escaped.
    let decoded = serde_json::from_str::<String>(url.get()).map_err(|_| redact_json(text))?;
    let hidden = redact(&decoded);
    if hidden == decoded {
        return Ok(raw.to_owned());
    }
    let start = url.get().as_ptr() as usize - text.as_ptr() as usize;
    let (head, tail) = (&text[..start], &text[start + url.get().len()..]);
    let whole = serde_json::to_string(&hidden).map(|url| format!("{head}{url}{tail}")).and_then(RawValue::from_string);
    whole.map_err(|_| "***".to_owned())
}

/// Redacts a text that may be JSON, in which a URL's punctuation may be escaped.
pub(super) fn redact_json(text: &str) -> String {
    let mut plain = text.to_owned();
    for (escape, character) in [("\\u0040", "@"), ("\\u003a", ":"), ("\\u003A", ":")] {
        plain = plain.replace(escape, character);
    }
    if plain.contains('@') { redact(&plain) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_password_is_hidden_however_the_url_is_spelt() {
        for text in [
            "http://user:hunter2@h/",
            "http:user:hunter2@h/",
            "http:\\\\user:hunter2@h/",
            "ht\ttp://user:hunter2@h/",
            "http://user:hun/ter2hunter2@h/",
            "http://user:hunter2@x@h/",
            "user:hunter2@h/",
        ] {
            let shown = redact(text);
            assert!(!shown.contains("ter2"), "{shown}");
            assert!(shown.contains("user:***@"), "{shown}");
        }
    }

    #[test]
    fn a_text_without_a_password_stays_as_it_is() {
        for text in ["http://h/", "http://h:80/a", "user@h", "", "a:b", "http://user@h/"] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn no_echo_shows_a_password() {
        for line in [
            "http://u:hunter2@h/",
            r#"{"url":"http://u:hunter2@h/","id":1}"#,
            r#"{"id":{"a":":@"},"url":"http://u:hunter2@h/"}"#,
            r#"{"url":"http://u:hunter2@h/","wrong":1}"#,
            r#"{"url":"http://u:hunter2\u0040h/"}"#,
            r#"{"url":"http://u\u003ahunter2@h/"}"#,
            r#"{"url":"http://u\u003Ahunter2\u0040h/","wrong":1}"#,
            r#"{"url":"http://u\u003ahunter2\u0040h/","url":1}"#,
            r#"{"url":"http://u\u003ahunter2\u0040h/""#,
            r#"{"url":"http://u:hunter2@h/""#,
            r#"{"seq":1,"input":"http://u:hunter2@h/"}"#,
            r#"{"seq":1,"input":{"url":"http://u:hunter2@h/"}}"#,
            "http://u:hunter2@h:99999/",
            "u:hunter2@h/",
        ] {
            let (echo, result) = parse(line.as_bytes());
            let text = format!("{echo:?} {result:?}");
            assert!(result.is_err() && !text.contains("hunter2"), "{text}");
        }
    }
}

//! The response in a fetchd record, with the keys that revalidate it.
//!
//! In: a line that is a record. Out: the validators to send (RFC 9110, section 13.1), and the digest to compare.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Outcome, sha256_of_hex};

/// The longest validator that is kept, because servers choose it and thousands of lines wait.
const LONGEST_VALIDATOR: usize = 1024;

/// The least age of a Last-Modified when it was fetched. A younger one proves nothing, because a resource may change
/// twice within its second, and clocks differ (RFC 9110, section 8.8.2.2).
const YOUNGEST_DATE: Duration = Duration::from_secs(60);

/// The validators and the digest of the response in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// The URL that sent the response.
    pub(super) url: Box<str>,
    pub(super) etag: Option<HeaderValue>,
    pub(super) last_modified: Option<HeaderValue>,
    pub(super) sha256: Option<[u8; 32]>,
}

/// The keys of a record that are used here. `input` distinguishes it from other objects.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(rename = "input")]
    _input: IgnoredAny,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow)]
    final_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    etag: Option<Cow<'a, str>>,
    #[serde(borrow)]
    last_modified: Option<Cow<'a, str>>,
    #[serde(borrow)]
    started: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sha256: Option<Cow<'a, str>>,
    truncated: Option<IgnoredAny>,
}

impl StoredResponse {
    /// The stored response of a line, if the line is the record of a whole response that can be compared.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        // As in `parse`, the search saves every other line a second parse.
        if !line.starts_with(b"{") || memmem::find(line, b"\"input\"").is_none() {
            return None;
        }
        let keys: Keys<'_> = serde_json::from_slice(line).ok()?;
        let is_whole = keys.outcome == Outcome::Ok.name() && keys.truncated.is_none();
        let fetched = keys.started.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let stored = Self {
            url: keys.final_url.unwrap_or(keys.url).into(),
            etag: keys.etag.and_then(|text| entity_tag(&text)),
            last_modified: keys.last_modified.and_then(|text| settled_date(&text, fetched?.into())),
            sha256: keys.sha256.and_then(|text| sha256_of_hex(&text)),
        };
        (is_whole && (stored.has_validators() || stored.sha256.is_some())).then_some(stored)
    }

    /// Puts the validators into the headers of a request, in place of its other conditions.
    pub fn put_validators(&self, headers: &mut HeaderMap) {
        for name in &CONDITIONS {
            headers.remove(name);
        }
        let validators = [(header::IF_NONE_MATCH, &self.etag), (header::IF_MODIFIED_SINCE, &self.last_modified)];
        headers.extend(validators.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    }

    pub(super) fn has_validators(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }
}

/// Headers that make a request conditional.
pub(super) const CONDITIONS: [HeaderName; 5] =
    [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE, header::IF_RANGE];

/// An ETag that can be sent back (RFC 9110, section 8.8.3), also without its quotes. A `*` or a list would match other
/// responses; bytes that are not ASCII cannot be restored from the record.
fn entity_tag(text: &str) -> Option<HeaderValue> {
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let is_tag = match opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.bytes().all(is_of_tag),
        None => !matches!(opaque, "" | "*") && opaque.bytes().all(|byte| is_of_tag(byte) && byte != b','),
    };
    (is_tag && text.len() <= LONGEST_VALIDATOR).then(|| HeaderValue::from_str(text).ok())?
}

fn is_of_tag(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e)
}

/// A Last-Modified that can be sent back: a date that was old enough when the response was fetched.
fn settled_date(text: &str, fetched: SystemTime) -> Option<HeaderValue> {
    let date = httpdate::parse_http_date(text).ok()?;
    let age = fetched.duration_since(date).ok()?;
    (age >= YOUNGEST_DATE).then(|| HeaderValue::from_str(text).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const DATE: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

    fn stored(change: &[(&str, Value)]) -> Option<StoredResponse> {
        let url = "http://a.test/x";
        let mut record = json!({ "input": url, "url": url, "outcome": "ok", "etag": "\"v1\"", "last_modified": DATE,
            "sha256": "ab".repeat(32), "started": "2015-10-21T08:00:00.000Z" });
        for (key, value) in change {
            record[*key] = value.clone();
        }
        StoredResponse::of_line(record.to_string().as_bytes())
    }

    #[test]
    fn only_the_record_of_a_whole_ok_response_is_revalidated() {
        assert!(stored(&[]).is_some());
        for (key, value) in [
            ("outcome", json!("failed")),
            ("outcome", json!("http_error")),
            ("truncated", json!("length")),
            ("url", Value::Null),
            ("etag", json!(1)),
        ] {
            assert_eq!(stored(&[(key, value.clone())]), None, "{key} {value}");
        }
        for line in [
            "",
            "http://a.test/x",
            "{}",
            r#"{"url":"http://a.test/","meta":{"input":1}}"#,
            r#"{"input":"http://a.test/"}"#,
        ] {
            assert_eq!(StoredResponse::of_line(line.as_bytes()), None, "{line}");
        }
        let nothing = ["etag", "last_modified", "sha256"].map(|key| (key, Value::Null));
        assert_eq!(stored(&nothing), None);
        assert!(stored(&nothing[..2]).is_some_and(|stored| stored.sha256 == Some([0xab; 32])));
    }

    #[test]
    fn an_etag_is_sent_back_as_it_came_if_it_is_one_and_only_one() {
        let longest = format!("\"{}\"", "x".repeat(LONGEST_VALIDATOR - 2));
        for tag in ["\"\"", "W/\"a\"", "\"a,b\"", "\"\\\"", "\"*\"", "unquoted-1/2", "W/x", &longest] {
            assert_eq!(entity_tag(tag).unwrap(), tag);
        }
        let too_long = format!("\"{}\"", "x".repeat(LONGEST_VALIDATOR - 1));
        for none in [
            "",
            "*",
            "W/*",
            "W/",
            "\"",
            "\"a\", \"b\"",
            "\"a\"b\"",
            "\"a b\"",
            "a,b",
            "a b",
            "\"a",
            "a\"",
            "\"\u{e9}\"",
            "\"a\r\nx: y\"",
            "\"a\0\"",
            "\"a\u{7f}\"",
            &too_long,
        ] {
            assert_eq!(entity_tag(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_date_is_sent_back_only_if_nothing_can_have_changed_in_its_second_since() {
        let sent = |date: &str, started: &str| {
            stored(&[("last_modified", json!(date)), ("started", json!(started))]).unwrap().last_modified
        };
        assert_eq!(sent(DATE, "2015-10-21T07:29:00.000Z").unwrap(), DATE);
        let asctime = "Wed Oct 21 07:28:00 2015";
        assert_eq!(sent(asctime, "2026-01-01T00:00:00.000Z").unwrap(), asctime);
        for (date, started) in [
            (DATE, "2015-10-21T07:28:59.999Z"),
            (DATE, "2015-10-21T07:00:00.000Z"),
            (DATE, "yesterday"),
            ("yesterday", "2026-01-01T00:00:00.000Z"),
            ("Wed, 21 Oct 2015 07:28:00 GMT\r\nx: y", "2026-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(sent(date, started), None, "{date} {started}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_record_says_its_validators_are_harmless(
            text in prop_oneof![".{0,40}", "(W/)?\"?[!-~ ,*\r\n\0é]{0,12}\"?"],
        ) {
            if let Some(tag) = entity_tag(&text) {
                prop_assert_eq!(tag.to_str().unwrap(), &text);
                prop_assert!(text.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{:?}", text);
                // One tag: outside of quotes there is no comma, and inside there is no quote.
                let tags = if text.contains('"') { text.matches('"').count() / 2 } else { text.split(',').count() };
                prop_assert!(tags == 1 && text != "*", "{:?}", text);
            }
            if let Some(date) = settled_date(&text, SystemTime::now()) {
                prop_assert_eq!(date.to_str().unwrap(), &text);
            }
            let _ = stored(&[("etag", json!(text)), ("started", json!(text)), ("sha256", json!(text))]);
        }
    }
}

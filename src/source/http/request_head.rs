//! Parses the head of a request. Pure: headers and paths in; codings, keys and ranges out, or the refusal.

use std::ops::RangeInclusive;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};

use super::answers::Refusal;
use crate::journal::BatchKey;

/// Content types of lines. The default of `curl --data` is not among them, because curl removes the line ends.
const TYPES: [&str; 9] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/octet-stream",
    "text/plain",
    "text/uri-list",
];

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// Refuses a request without the token, if there is one.
pub(super) fn authorize(headers: &HeaderMap, token: Option<&str>) -> Result<(), Refusal> {
    let Some(token) = token else { return Ok(()) };
    let sent = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let is_bearer = sent.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    let sent = if is_bearer { sent[7..].trim_ascii() } else { b"" };
    // Digests have a fixed length, so the time does not reveal the length of the token.
    let (sent, token) = (digest(&SHA256, sent), digest(&SHA256, token.as_bytes()));
    verify_slices_are_equal(sent.as_ref(), token.as_ref()).map_err(|_| Refusal::Unauthorized)
}

/// Refuses content types other than lines.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim();
    match TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        true => Ok(()),
        false => Err(Refusal::Type(essence.to_owned())),
    }
}

/// The coding of the body.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(Coding::Identity) };
    let text = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
    match (text.as_str(), values.next()) {
        ("" | "identity", None) => Ok(Coding::Identity),
        ("gzip" | "x-gzip", None) => Ok(Coding::Gzip),
        ("zstd", None) => Ok(Coding::Zstd),
        (_, Some(_)) => Err(Refusal::Coding("more than one".to_owned())),
        (other, None) => Err(Refusal::Coding(format!("`{other}`"))),
    }
}

/// The idempotency key, if there is one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Refusal> {
    const NAME: HeaderName = HeaderName::from_static("idempotency-key");
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_key =
        |text: &&str| (1..=BatchKey::LONGEST).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
    let key = value.to_str().ok().filter(is_key).filter(|_| values.next().is_none());
    key.map(|key| Some(key.into())).ok_or(Refusal::Key)
}

/// The line numbers of `GET /v1/lines/FIRST-LAST`.
pub(super) fn range(text: &str) -> Result<RangeInclusive<u64>, Refusal> {
    let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let range = text.split_once('-').and_then(|(first, last)| Some(number(first)?..=number(last)?));
    range.filter(|range| *range.start() > 0 && !range.is_empty()).ok_or_else(|| Refusal::Range(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn only_the_token_itself_is_accepted() {
        for (sent, is_let_in) in [
            ("Bearer s3cret", true),
            ("bearer  s3cret", true),
            ("Bearer s3cre", false),
            ("Bearer s3crett", false),
            ("Bearer ", false),
            ("Basic s3cret", false),
            ("s3cret", false),
            ("", false),
        ] {
            assert_eq!(authorize(&headers(&[("authorization", sent)]), Some("s3cret")).is_ok(), is_let_in, "{sent}");
        }
        assert!(authorize(&HeaderMap::new(), Some("s3cret")).is_err());
        assert!(authorize(&HeaderMap::new(), None).is_ok());
    }

    #[test]
    fn types_of_lines_are_taken_and_others_are_named() {
        for text in
            ["application/x-ndjson", "Application/JSONL; charset=utf-8", "text/plain", "application/octet-stream"]
        {
            assert_eq!(check_type(&headers(&[("content-type", text)])), Ok(()), "{text}");
        }
        assert_eq!(check_type(&HeaderMap::new()), Ok(()));
        for text in ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
            let essence = text.split(';').next().unwrap().to_owned();
            assert_eq!(check_type(&headers(&[("content-type", text)])), Err(Refusal::Type(essence)), "{text}");
        }
    }

    #[test]
    fn codings_are_read_whatever_their_case_and_others_are_named() {
        for (text, coding_of) in
            [("identity", Coding::Identity), ("GZIP", Coding::Gzip), ("x-gzip", Coding::Gzip), (" zstd ", Coding::Zstd)]
        {
            assert_eq!(coding(&headers(&[("content-encoding", text)])), Ok(coding_of));
        }
        assert_eq!(coding(&HeaderMap::new()), Ok(Coding::Identity));
        for text in ["br", "gzip, zstd", "deflate"] {
            assert_eq!(coding(&headers(&[("content-encoding", text)])), Err(Refusal::Coding(format!("`{text}`"))));
        }
        let two = headers(&[("content-encoding", "gzip"), ("content-encoding", "gzip")]);
        assert!(coding(&two).is_err());
    }

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        let longest = "k".repeat(BatchKey::LONGEST);
        for text in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", &longest] {
            assert_eq!(key(&headers(&[("idempotency-key", text)])), Ok(Some(text.into())));
        }
        for text in ["", "two words", &format!("{longest}k")] {
            assert_eq!(key(&headers(&[("idempotency-key", text)])), Err(Refusal::Key), "{text:?}");
        }
        assert!(key(&headers(&[("idempotency-key", "a"), ("idempotency-key", "a")])).is_err());
        assert_eq!(key(&HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn a_range_is_two_numbers_in_order(first in 0u64..50, last in 0u64..50) {
            let is_range = first > 0 && first <= last;
            prop_assert_eq!(range(&format!("{first}-{last}")).ok(), is_range.then_some(first..=last));
        }

        #[test]
        fn no_other_text_is_a_range(text in "[-+ 0-9a]{0,6}") {
            let is_range = text.split_once('-').is_some_and(|(first, last)| {
                [first, last].iter().all(|text| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()))
                    && first.parse::<u64>().unwrap() > 0
                    && first.parse::<u64>().unwrap() <= last.parse().unwrap()
            });
            prop_assert_eq!(range(&text).is_ok(), is_range, "{:?}", text);
        }
    }
}

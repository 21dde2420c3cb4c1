//! Freshness: if a line is a fetchd record, its request is conditional on the record's response (RFC 9110, section 13).
//!
//! In: the stored response, and the response to the line's request. Out: whether the response changed.

use http::{HeaderValue, Method, StatusCode};

use super::stored_response::CONDITIONS;
use super::{Head, Received, Request, StoredResponse};

/// Whether lines that are fetchd records are revalidated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revalidation {
    /// They are fetched like every other line.
    #[default]
    Off,
    /// They are fetched only if they changed.
    On,
}

impl Request {
    /// Makes the request conditional on the stored response. A line with its own conditions keeps those, and its body
    /// is compared.
    pub fn revalidate(&mut self, mut stored: StoredResponse) {
        let extra = self.extra.get_or_insert_default();
        if CONDITIONS.iter().any(|name| extra.headers.contains_key(name)) {
            (stored.etag, stored.last_modified) = (None, None);
        }
        extra.stored = Some(Box::new(stored));
    }

    /// The stored response whose validators this request carries, if it goes to the URL that sent them and has a method
    /// for which a 304 is defined.
    pub fn condition(&self) -> Option<&StoredResponse> {
        let is_for = |stored: &&StoredResponse| stored.has_validators() && *stored.url == *self.url.as_str();
        self.stored().filter(is_for).filter(|_| matches!(self.method, Method::GET | Method::HEAD))
    }

    /// The digest to compare with that of the response body. A HEAD has none.
    pub fn digest_to_compare(&self) -> Option<[u8; 32]> {
        self.stored()?.sha256.filter(|_| self.method != Method::HEAD)
    }

    fn stored(&self) -> Option<&StoredResponse> {
        self.extra.as_deref()?.stored.as_deref()
    }
}

/// The result of comparing a response with the stored one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// There is no stored response, or it cannot be compared.
    #[default]
    Unknown,
    /// The body may have changed; the record has its digest for the next comparison.
    Changed,
    /// The body is that of the stored response.
    Unchanged {
        /// Its digest; absent if the stored response had none.
        sha256: Option<[u8; 32]>,
    },
}

impl Freshness {
    /// Whether the body is that of the stored response.
    pub fn is_unchanged(self) -> bool {
        matches!(self, Self::Unchanged { .. })
    }

    /// Compares the successful response to this request with the stored one. A 304 has no body, so only its head is
    /// returned.
    pub fn of(request: &Request, received: Received) -> (Self, Received) {
        let Some(stored) = request.stored() else { return (Self::Unknown, received) };
        match received {
            Received::Response(response) if response.head.confirms(request) => {
                let mut head = Box::new(response.head);
                complete(&mut head, stored);
                (Self::Unchanged { sha256: stored.sha256 }, Received::Head(head))
            }
            received => (Self::by_digest(request, &received), received),
        }
    }

    fn by_digest(request: &Request, received: &Received) -> Self {
        let (Some(before), Received::Response(response)) = (request.digest_to_compare(), received) else {
            return Self::Unknown;
        };
        let is_whole = response.head.status == StatusCode::OK && !response.body.truncated;
        match response.body.sha256.filter(|now| is_whole && *now == before) {
            None => Self::Changed,
            sha256 => Self::Unchanged { sha256 },
        }
    }
}

impl Head {
    /// Whether it confirms the stored response whose validators the request carried.
    pub fn confirms(&self, request: &Request) -> bool {
        self.status == StatusCode::NOT_MODIFIED && request.condition().is_some()
    }
}

/// Adds the validators that a 304 omits, from the stored response.
fn complete(head: &mut Head, stored: &StoredResponse) {
    let text = |value: &Option<HeaderValue>| value.as_ref().and_then(|value| value.to_str().ok()).map(Box::from);
    head.etag = head.etag.take().or_else(|| text(&stored.etag));
    head.last_modified = head.last_modified.take().or_else(|| text(&stored.last_modified));
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};
    use serde_json::{Value, json};

    use super::*;
    use crate::item::{Body, Response, parse};

    const URL: &str = "http://a.test/x";
    const TAG: &str = "\"v1\"";
    const DATE: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

    /// A record that was fetched long after its Last-Modified.
    fn record(change: &[(&str, Value)]) -> String {
        let mut record = json!({ "seq": 1, "input": URL, "url": URL, "outcome": "ok", "status": 200, "etag": TAG,
            "last_modified": DATE, "sha256": "ab".repeat(32), "started": "2015-10-21T08:00:00.000Z" });
        for (key, value) in change {
            record[*key] = value.clone();
        }
        record.to_string()
    }

    /// The request of such a line.
    fn request(change: &[(&str, Value)]) -> Request {
        let line = record(change);
        let mut request = parse(line.as_bytes()).1.unwrap();
        request.revalidate(StoredResponse::of_line(line.as_bytes()).unwrap());
        request
    }

    fn validators(request: &Request) -> [Option<String>; 2] {
        let mut headers = HeaderMap::new();
        request.condition().inspect(|stored| stored.put_validators(&mut headers));
        [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]
            .map(|name| headers.get(name).map(|value| value.to_str().unwrap().to_owned()))
    }

    fn judged(request: &Request, status: StatusCode, body: Body) -> (Freshness, Received) {
        let response = Response { head: Head::new(status), body };
        Freshness::of(request, Received::Response(Box::new(response)))
    }

    fn body(byte: u8) -> Body {
        Body { sha256: Some([byte; 32]), ..Body::default() }
    }

    #[test]
    fn validators_go_to_the_url_that_sent_them_and_nowhere_else() {
        let both = [Some(TAG.to_owned()), Some(DATE.to_owned())];
        assert_eq!(validators(&request(&[])), both);
        let mut redirected = request(&[("final_url", json!("http://b.test/y"))]);
        assert_eq!(validators(&redirected), [None, None]);
        redirected.url = "http://b.test/y".parse().unwrap();
        assert_eq!(validators(&redirected), both);
        for (method, is_sent) in [("HEAD", true), ("POST", false), ("PUT", false), ("DELETE", false)] {
            let request = request(&[("input", json!({ "url": URL, "method": method }))]);
            assert_eq!(request.condition().is_some(), is_sent, "{method}");
        }
    }

    #[test]
    fn a_line_with_conditions_of_its_own_keeps_them_and_has_its_body_compared() {
        for name in ["If-None-Match", "if-modified-since", "If-Match", "If-Range", "if-unmodified-since"] {
            let request = request(&[("input", json!({ "url": URL, "headers": { name: "x" } }))]);
            assert_eq!((request.condition(), request.digest_to_compare()), (None, Some([0xab; 32])), "{name}");
            assert_eq!(judged(&request, StatusCode::NOT_MODIFIED, Body::default()).0, Freshness::Changed);
        }
    }

    #[test]
    fn a_304_to_a_condition_is_the_stored_response_with_its_new_validators() {
        let request = request(&[]);
        let (freshness, received) = judged(&request, StatusCode::NOT_MODIFIED, Body::default());
        assert_eq!(freshness, Freshness::Unchanged { sha256: Some([0xab; 32]) });
        let head = received.head().unwrap();
        assert!(received.body().is_none());
        assert_eq!((head.etag.as_deref(), head.last_modified.as_deref()), (Some(TAG), Some(DATE)));
        let head = Head { etag: Some("W/\"v2\"".into()), ..Head::new(StatusCode::NOT_MODIFIED) };
        let response = Response { head, body: Body::default() };
        let (_, received) = Freshness::of(&request, Received::Response(Box::new(response)));
        let head = received.head().unwrap();
        assert_eq!((head.etag.as_deref(), head.last_modified.as_deref()), (Some("W/\"v2\""), Some(DATE)));
    }

    #[test]
    fn a_whole_body_with_the_same_digest_is_unchanged_and_every_other_is_not() {
        let (plain, same) = (request(&[]), Freshness::Unchanged { sha256: Some([0xab; 32]) });
        assert_eq!(judged(&plain, StatusCode::OK, body(0xab)).0, same);
        assert_eq!(judged(&plain, StatusCode::OK, body(0xac)).0, Freshness::Changed);
        assert_eq!(judged(&plain, StatusCode::PARTIAL_CONTENT, body(0xab)).0, Freshness::Changed);
        assert_eq!(judged(&plain, StatusCode::OK, Body { truncated: true, ..body(0xab) }).0, Freshness::Changed);
        let post = request(&[("input", json!({ "url": URL, "method": "POST" }))]);
        assert_eq!(judged(&post, StatusCode::OK, body(0xab)).0, same);
        let head = request(&[("input", json!({ "url": URL, "method": "HEAD" }))]);
        assert_eq!(judged(&head, StatusCode::OK, body(0xab)).0, Freshness::Unknown, "a HEAD has no body");
        let without = request(&[("sha256", Value::Null)]);
        assert_eq!(judged(&without, StatusCode::OK, body(0xab)).0, Freshness::Unknown);
    }
}

//! Reads a response head for the record, and rejects ambiguous framing.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};

use super::body::Announced;
use super::connection_reuse::Carrier;
use super::decode::Codings;
use super::quota::{LONGEST, Reading, Scope, date_of, until};
use crate::item::{Body, ErrorKind, Failure, Head, Needs, Reservation, RetryAfter, Sent, header_text};

/// The longest content type, coding or validator that is kept, because their memory is not counted.
const LONGEST_TEXT: usize = 1024;

/// Reads the parts of a head that the record needs.
pub(super) fn read_head(
    method: &Method,
    response: &reqwest::Response,
    needs: Needs,
    carrier: Carrier,
    ttfb: Duration,
) -> Head {
    let (status, headers) = (response.status(), response.headers());
    let quota = Reading::of(headers);
    let mut head = Head {
        version: response.version(),
        ip: response.remote_addr().map(|address| address.ip()),
        content_type: short_text(headers, header::CONTENT_TYPE),
        content_encoding: short_text(headers, header::CONTENT_ENCODING)
            .filter(|_| has_body(method, status) && !can_be_decoded(status, headers)),
        etag: etag(headers),
        last_modified: short_text(headers, header::LAST_MODIFIED),
        content_length: content_length(headers),
        retry_after: retry_after(status, headers, quota),
        quota: quota.filter(|reading| reading.scope == Scope::Client).map(|reading| reading.quota),
        headers: needs.response_headers.then(|| copy(headers)),
        reused: carrier == Carrier::Kept,
        closes: closes(method, response),
        ttfb,
        ..Head::new(status)
    };
    if let Some(location) = headers.get(header::LOCATION).filter(|_| status.is_redirection()) {
        head.set_location(location.as_bytes());
    }
    head
}

/// Whether the response is a 408 that closes an idle connection (RFC 9110, section 15.5.9).
pub(super) fn is_idle_timeout(response: &reqwest::Response) -> bool {
    response.status() == StatusCode::REQUEST_TIMEOUT && response.version() != Version::HTTP_2
}

/// Rejects framing that can be read in two ways (RFC 9112, section 6.3), more strictly than the client.
///
/// # Errors
/// `protocol` if the framing is ambiguous, or the server switched protocols.
pub(super) fn check_framing(response: &reqwest::Response) -> Result<(), Failure> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(failed(ErrorKind::Protocol, "the server switched protocols without being asked"));
    }
    if response.version() == Version::HTTP_2 {
        return Ok(());
    }
    let headers = response.headers();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(first) = codings.next() else { return Ok(()) };
    if !first.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
        return Err(failed(ErrorKind::Protocol, "the response has a transfer coding other than `chunked`"));
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        return Err(failed(ErrorKind::Protocol, "the response has both a transfer coding and a content-length"));
    }
    Ok(())
}

/// The body's codings and framing according to the head.
pub(super) fn announced(method: &Method, response: &reqwest::Response) -> Announced {
    let (headers, length) = (response.headers(), content_length(response.headers()));
    let has_body = has_body(method, response.status());
    let decodable = has_body && can_be_decoded(response.status(), headers);
    Announced {
        codings: match Codings::of(headers) {
            Codings::Known(codings) if decodable => codings,
            _ => Vec::new(),
        },
        length: length.filter(|_| has_body),
        until_close: ends_with_connection(response),
    }
}

/// Whether the body can be decoded; a part of an encoded body (RFC 9110, section 15.3.7) cannot.
fn can_be_decoded(status: StatusCode, headers: &HeaderMap) -> bool {
    match Codings::of(headers) {
        Codings::Known(codings) => codings.is_empty() || status != StatusCode::PARTIAL_CONTENT,
        Codings::Unknown => false,
    }
}

fn short_text(headers: &HeaderMap, name: HeaderName) -> Option<Box<str>> {
    let text = header_text(headers.get(name)?.as_bytes());
    (text.len() <= LONGEST_TEXT).then(|| text.into())
}

/// The ETag; none if there are several different ones.
fn etag(headers: &HeaderMap) -> Option<Box<str>> {
    let mut values = headers.get_all(header::ETAG).iter();
    let first = values.next()?;
    values.all(|value| value == first).then(|| short_text(headers, header::ETAG))?
}

/// Whether the response closes the connection, by its headers or to end its body (RFC 9112, section 9.3).
fn closes(method: &Method, response: &reqwest::Response) -> bool {
    let says = |option: &str| {
        let values = response.headers().get_all(header::CONNECTION).iter();
        let mut options = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        options.any(|said| said.trim().eq_ignore_ascii_case(option))
    };
    let said = match response.version() {
        Version::HTTP_2 => false,
        Version::HTTP_11 => says("close"),
        _ => !says("keep-alive"),
    };
    said || (has_body(method, response.status()) && ends_with_connection(response))
}

/// Whether the end of the connection ends the body (RFC 9112, section 6.3).
fn ends_with_connection(response: &reqwest::Response) -> bool {
    let headers = response.headers();
    response.version() != Version::HTTP_2
        && content_length(headers).is_none()
        && !headers.contains_key(header::TRANSFER_ENCODING)
}

fn has_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Parses a Retry-After: seconds, a date (RFC 9110, section 10.2.3), or another format of a reset ([`until`]), at most
/// [`LONGEST`]. Without one, the reset of a used-up quota counts. The host's pause (`schedule/host_pause.rs`) and the
/// line's next attempt (`schedule/decide.rs`) honour it.
fn retry_after(status: StatusCode, headers: &HeaderMap, quota: Option<Reading>) -> Option<RetryAfter> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::FORBIDDEN) {
        return None;
    }
    // Clocks differ: a date counts by the clock of the server, which the `date` header shows.
    let now = date_of(headers).unwrap_or_else(SystemTime::now);
    let said = headers.get(header::RETRY_AFTER).and_then(|value| until(value.to_str().ok()?.trim(), now));
    // A date in the past means no wait.
    let said = said.map(|wait| Duration::try_from(wait).unwrap_or_default());
    let wait = said.or_else(|| quota?.retry_after(status))?;
    Some(RetryAfter(wait.min(LONGEST)))
}

/// A deep copy: a header value shares the buffer that was read with it, and would keep that in memory.
fn copy(headers: &HeaderMap) -> HeaderMap {
    let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    headers.iter().filter_map(|(name, value)| Some((name.clone(), copied(value)?))).collect()
}

/// The approximate memory of a header map, in bytes.
fn size_of(headers: &HeaderMap) -> usize {
    const PER_ENTRY: usize = 64;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + PER_ENTRY).sum()
}

/// The part of the reservation that the record of a response keeps; none if only short texts are left.
pub(super) fn held(head: &Head, body: Option<&Body>, mut reservation: Reservation) -> Option<Reservation> {
    let (body, headers) = (body.map_or(0, |body| body.data.len()), head.headers.as_ref().map_or(0, size_of));
    if body + headers == 0 {
        return None;
    }
    let texts = [&head.content_type, &head.etag, &head.last_modified].into_iter().flatten();
    let texts: usize = texts.map(|text| text.len()).sum();
    reservation.shrink_to((body + headers + texts) as u64);
    Some(reservation)
}

fn failed(kind: ErrorKind, message: impl Into<String>) -> Failure {
    Failure::new(kind, message, Sent::Something)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(status: u16, value: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        retry_after(StatusCode::from_u16(status).unwrap(), &headers, None).map(|RetryAfter(wait)| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parsed(429, "120"), Some(120));
        assert_eq!(parsed(503, " 0 "), Some(0));
        assert_eq!(parsed(429, "2.5"), Some(2));
        let later = SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 100;
        assert!(matches!(parsed(429, &later.to_string()), Some(98..=100)), "a time, where seconds were meant");
        assert_eq!(parsed(403, "120"), Some(120));
        assert_eq!(parsed(429, "Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!(matches!(parsed(429, &soon), Some(98..=100)));
    }

    #[test]
    fn a_date_is_read_by_the_clock_of_the_server() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"));
        for (date, wait) in
            [("Wed, 21 Oct 2015 07:27:00 GMT", 60), ("Wed, 21 Oct 2015 07:29:00 GMT", 0), ("yesterday", 0)]
        {
            headers.insert(header::DATE, date.parse().unwrap());
            assert_eq!(
                retry_after(StatusCode::TOO_MANY_REQUESTS, &headers, None).map(|wait| wait.0.as_secs()),
                Some(wait)
            );
        }
    }

    #[test]
    fn garbage_is_no_retry_after_and_huge_is_bounded() {
        for garbage in ["soon", "-5", "", "12 apples"] {
            assert_eq!(parsed(429, garbage), None, "{garbage}");
        }
        assert_eq!(parsed(429, "99999999999999999999999"), Some(32 * 24 * 3600));
        assert_eq!(parsed(500, "120"), None);
    }
}

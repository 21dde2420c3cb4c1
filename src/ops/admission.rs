//! Admission of API requests: a loopback name in the Host header, no request from a page of another site, and at most
//! fifty requests a second at each listener.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request, StatusCode};
use tokio::time::Instant;

use super::answer::Failure;

/// Requests a second that a listener admits, and the size of a burst after a pause.
const PER_SECOND: f64 = 50.0;

/// The rate limiter of one listener: a token bucket.
#[derive(Debug)]
pub(super) struct Pace(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Pace {
    pub fn new() -> Self {
        Self(Mutex::new(Bucket { tokens: PER_SECOND, filled: Instant::now() }))
    }

    /// Takes one token.
    ///
    /// # Errors
    /// 429 if the bucket is empty.
    pub fn count(&self, now: Instant) -> Result<(), Failure> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since: Duration = now.saturating_duration_since(bucket.filled);
        bucket.tokens = (bucket.tokens + since.as_secs_f64() * PER_SECOND).min(PER_SECOND);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            let message = format!("this listener got more than {PER_SECOND} requests a second; try again in a second");
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, message));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// Refuses requests that a page of another site may have made: through a name that an attacker points at this machine
/// (DNS rebinding), or from another origin.
///
/// # Errors
/// 403; the message names the wrong header.
pub(super) fn refuse_foreign<B>(request: &Request<B>) -> Result<(), Failure> {
    let forbidden = |message: String| Failure::new(StatusCode::FORBIDDEN, message);
    let headers = request.headers();
    let host = only(headers, HOST.as_str());
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    let (Some(host), true) = (host, target.is_none_or(is_loopback)) else {
        return Err(forbidden(
            "a request needs one Host header with a loopback name; write for example `Host: localhost`".to_owned(),
        ));
    };
    if !is_loopback(host) {
        let message = "the Host header is not a loopback name, so a page of another site may have sent the request; write for example `Host: localhost`";
        return Err(forbidden(message.to_owned()));
    }
    let is_same = |origin: &str| origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    if headers.contains_key(ORIGIN) && !only(headers, ORIGIN.as_str()).is_some_and(is_same) {
        return Err(forbidden(
            "the request comes from a page of another origin, which may not use the API; leave the Origin header out"
                .to_owned(),
        ));
    }
    const FETCH_SITE: &str = "sec-fetch-site";
    if headers.contains_key(FETCH_SITE) && only(headers, FETCH_SITE) != Some("same-origin") {
        return Err(forbidden("the request comes from a page of another site, which may not use the API; leave the Sec-Fetch-Site header out".to_owned()));
    }
    Ok(())
}

/// The value of a header that occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

/// Whether `NAME` or `NAME:PORT` is a loopback name that no DNS server can point at another machine.
fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(uri: &str, headers: &[(&str, &str)]) -> bool {
        let request = headers.iter().fold(Request::post(uri), |request, (name, value)| request.header(*name, *value));
        refuse_foreign(&request.body(()).unwrap()).is_err()
    }

    #[test]
    fn only_loopback_names_are_hosts() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.8.9.1:9180", "[::1]", "[::1]:1"] {
            assert!(!refused("/", &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "a.test",
            "localhost.a.test",
            "127.0.0.1.a.test",
            "10.0.0.1",
            "0.0.0.0",
            "u@localhost",
            "::1",
            "[::2]",
            "a b",
        ] {
            assert!(refused("/", &[("host", host)]), "{host}");
        }
        assert!(refused("/", &[]), "without a host");
        assert!(refused("/", &[("host", "localhost"), ("host", "localhost")]), "with two");
        assert!(refused("http://a.test/", &[("host", "localhost")]), "in the target");
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let with = |name, value| refused("/", &[("host", "localhost:1"), (name, value)]);
        assert!(!with("origin", "http://localhost:1") && !with("sec-fetch-site", "same-origin"));
        for origin in ["null", "http://localhost", "http://localhost:2", "https://localhost:1", "http://a.test", ""] {
            assert!(with("origin", origin), "{origin}");
        }
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(with("sec-fetch-site", site), "{site}");
        }
    }

    #[test]
    fn fifty_requests_a_second_pass() {
        let (pace, start) = (Pace::new(), Instant::now());
        let passed = |at| (0..100).filter(|_| pace.count(start + Duration::from_millis(at)).is_ok()).count();
        assert_eq!([passed(0), passed(0), passed(100), passed(1100), passed(9000)], [50, 0, 5, 50, 50]);
    }
}

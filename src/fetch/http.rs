//! One attempt with reqwest: guard, request, head, body.

use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use tokio::time::{Instant, timeout};
use url::{Position, Url};

use super::body::{Announced, BodyRules, receive};
use super::chunks::Chunks;
use super::clients::{Clients, Recipe};
use super::decode::codings_of;
use super::failure::{before_answer, refused_by_proxy};
use super::{Fetch, FetchConfig, Guard, HeaderTable, HostTls, Oversize, Resolver, TlsConfig};
use crate::error::BoxError;
use crate::hosts::HostPattern;
use crate::item::{
    Attempt, Body, BodyNeed, Call, ErrorKind, Failure, Head, Needs, Purpose, Reservation, Response, RetryAfter, Sent,
};
use crate::open_files;

/// Media types are short; a longer one is kept out of memory that nobody has counted.
const LONGEST_CONTENT_TYPE: usize = 1024;

/// A longer Location is none that can be followed: lines keep the URLs of their redirects.
const LONGEST_LOCATION: usize = 8192;

/// 500 KiB, and one byte that shows that there is more (RFC 9309, section 2.5).
const MOST_OF_ROBOTS: u64 = (500 << 10) + 1;

/// The settings of the fetcher besides `[fetch]`.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The headers of requests.
    pub headers: HeaderTable,
    /// `[tls]`
    pub tls: TlsConfig,
    /// What `[hosts]` says of TLS.
    pub hosts: Vec<(HostPattern, HostTls)>,
    /// What of responses is kept.
    pub needs: Needs,
    /// The most idle connections that one host can have.
    pub idle_per_host: usize,
}

/// The fetcher over HTTP.
pub struct Http {
    clients: Clients,
    /// Where requests go instead of to their hosts; shown without its credentials.
    proxy: Option<String>,
    guard: Arc<Guard>,
    headers: HeaderTable,
    rules: BodyRules,
    needs: Needs,
    told_of_shortage: Once,
}

impl Http {
    /// Builds the clients of the run.
    ///
    /// # Errors
    /// When the proxy's URL is none, a file of certificates cannot be used, or TLS cannot be set up.
    pub fn new(
        config: &FetchConfig,
        settings: HttpSettings,
        guard: Arc<Guard>,
        resolver: &Resolver,
    ) -> Result<Self, BoxError> {
        let HttpSettings { headers, tls, hosts, needs, idle_per_host } = settings;
        let clients = Clients::new(&Recipe::new(config, &tls, idle_per_host, resolver)?, hosts)?;
        let proxy = config.proxy.as_ref().map(|proxy| Url::parse(proxy.expose())).transpose()?;
        let proxy = proxy.map(|url| url[Position::BeforeHost..Position::AfterPort].to_owned());
        let rules = BodyRules {
            max_body: config.max_body.0,
            oversize: config.oversize,
            body: needs.body,
            digest: needs.digest,
        };
        Ok(Self { clients, proxy, guard, headers, rules, needs, told_of_shortage: Once::new() })
    }

    async fn attempt(&self, call: &Call, reservation: Reservation) -> Attempt {
        if let Err(forbidden) = self.check_literal(&call.request.url) {
            return Attempt::Failed(forbidden);
        }
        let start = Instant::now();
        let response = match timeout(call.time_limit, self.clients.of(call).execute(self.request(call))).await {
            Ok(Ok(response)) => response,
            Err(_) => return timed_out("no response head", call),
            Ok(Err(error)) => {
                let failure = before_answer(error, &call.request.url, self.proxy.as_deref());
                self.tell_of_shortage(&failure);
                return Attempt::Failed(failure);
            }
        };
        if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) = (response.status(), &self.proxy) {
            return Attempt::Failed(refused_by_proxy(proxy));
        }
        self.receive(call, response, reservation, start.elapsed()).await
    }

    /// Says once a run that this machine, not a server, is what some lines wait for.
    fn tell_of_shortage(&self, failure: &Failure) {
        if failure.sent == Sent::Starved {
            self.told_of_shortage.call_once(|| {
                let (why, advice) = (&failure.message, open_files::advice());
                tracing::warn!(
                    "no file or port is left for a connection ({why}); lines wait for one, uncharged; {advice}"
                );
            });
        }
    }

    /// Names are checked where they are resolved; an address that stands in the URL never gets there.
    fn check_literal(&self, url: &Url) -> Result<(), Failure> {
        self.guard
            .check_literal(url)
            .map_err(|forbidden| Failure::new(ErrorKind::ForbiddenAddress, forbidden.to_string(), Sent::Refused))
    }

    /// A robots.txt is read whatever records show of bodies, as far as its rules may count.
    fn rules_for(&self, call: &Call) -> BodyRules {
        match call.purpose {
            Purpose::Line => self.rules,
            Purpose::RobotsTxt => BodyRules {
                max_body: MOST_OF_ROBOTS,
                oversize: Oversize::Truncate,
                body: BodyNeed::Decoded,
                digest: false,
            },
        }
    }

    fn request(&self, call: &Call) -> reqwest::Request {
        let mut request = reqwest::Request::new(call.request.method.clone(), call.request.url.clone());
        *request.headers_mut() = self.headers.of(call);
        let body = call.request.extra.as_ref().and_then(|extra| extra.body.clone());
        if body.is_none() && matches!(call.request.method, Method::POST | Method::PUT | Method::PATCH) {
            // RFC 9110, section 8.6: methods that expect content say that there is none.
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *request.body_mut() = body.map(Into::into);
        request
    }

    /// Receives the body. Whatever becomes of it, what the head says is kept.
    async fn receive(
        &self,
        call: &Call,
        response: reqwest::Response,
        mut reservation: Reservation,
        ttfb: Duration,
    ) -> Attempt {
        let mut head = self.head(&response, ttfb);
        let body = self.body(call, response, &mut reservation, ttfb).await;
        head.reservation = held(&head, body.as_ref().ok(), reservation);
        match body {
            Ok(body) => Attempt::Response(Box::new(Response { head, body })),
            Err(Attempt::Failed(failure)) => Attempt::Failed(Failure { head: Some(Box::new(head)), ..failure }),
            Err(attempt) => attempt,
        }
    }

    fn head(&self, response: &reqwest::Response, ttfb: Duration) -> Head {
        let (status, headers) = (response.status(), response.headers());
        let text =
            |name| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).map(Box::<str>::from);
        Head {
            status,
            version: response.version(),
            ip: response.remote_addr().map(|address| address.ip()),
            content_type: text(header::CONTENT_TYPE).filter(|text| text.len() <= LONGEST_CONTENT_TYPE),
            content_length: content_length(headers),
            location: text(header::LOCATION).filter(|text| status.is_redirection() && text.len() <= LONGEST_LOCATION),
            retry_after: retry_after(status, headers),
            headers: self.needs.response_headers.then(|| copy(headers)),
            ttfb,
            reservation: None,
        }
    }

    /// The body, within what is left of the attempt's time.
    async fn body(
        &self,
        call: &Call,
        response: reqwest::Response,
        reservation: &mut Reservation,
        ttfb: Duration,
    ) -> Result<Body, Attempt> {
        check_framing(&response).map_err(|message| failed(ErrorKind::Protocol, message))?;
        let announced = announced(&call.request.method, &response)?;
        let body = receive(Chunks::of(response), &announced, self.rules_for(call), reservation);
        let left = call.time_limit.saturating_sub(ttfb);
        timeout(left, body).await.unwrap_or_else(|_| Err(timed_out("no whole body", call)))
    }
}

impl Fetch for Http {
    fn attempt<'a>(&'a self, call: &'a Call, reservation: Reservation) -> BoxFuture<'a, Attempt> {
        self.attempt(call, reservation).boxed()
    }
}

/// RFC 9112, section 6.3, more strictly than the client: what could be read in two ways is not read at all.
fn check_framing(response: &reqwest::Response) -> Result<(), String> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err("the server switched protocols without being asked".to_owned());
    }
    if response.version() == Version::HTTP_2 {
        return Ok(());
    }
    let headers = response.headers();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(first) = codings.next() else { return Ok(()) };
    if !first.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
        return Err("the answer has a transfer coding other than `chunked`".to_owned());
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        return Err("the answer has both a transfer coding and a content-length".to_owned());
    }
    Ok(())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn announced(method: &Method, response: &reqwest::Response) -> Result<Announced, Attempt> {
    let (headers, length) = (response.headers(), content_length(response.headers()));
    let has_body = has_body(method, response.status());
    Ok(Announced {
        codings: match has_body {
            true => codings_of(headers).map_err(|message| failed(ErrorKind::Decode, message))?,
            false => Vec::new(),
        },
        length: length.filter(|_| has_body),
        until_close: response.version() != Version::HTTP_2
            && length.is_none()
            && !headers.contains_key(header::TRANSFER_ENCODING),
    })
}

fn has_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Parses a Retry-After: seconds or a date (RFC 9110, section 10.2.3). Anything else is ignored. The host's pause
/// (`schedule/host_pause.rs`) and the line's next attempt (`schedule/decide.rs`) honour it.
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<RetryAfter> {
    /// Longer than any run; it keeps sums of times far from overflow.
    const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(RetryAfter(Duration::from_secs(seconds).min(LONGEST)));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let wait = at.duration_since(SystemTime::now()).unwrap_or_default();
    Some(RetryAfter(wait.min(LONGEST)))
}

/// A copy: a header's bytes are a piece of all that was read with it, and would keep it in memory.
fn copy(headers: &HeaderMap) -> HeaderMap {
    let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    headers.iter().filter_map(|(name, value)| Some((name.clone(), copied(value)?))).collect()
}

/// What a header map weighs, roughly.
fn size_of(headers: &HeaderMap) -> usize {
    const PER_ENTRY: usize = 64;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + PER_ENTRY).sum()
}

/// What the record of a response holds of the reservation. A short text beside no body is not worth a permit.
fn held(head: &Head, body: Option<&Body>, mut reservation: Reservation) -> Option<Reservation> {
    let (body, headers) = (body.map_or(0, |body| body.data.len()), head.headers.as_ref().map_or(0, size_of));
    if body + headers == 0 {
        return None;
    }
    let content_type = head.content_type.as_deref().map_or(0, str::len);
    reservation.shrink_to((body + headers + content_type) as u64);
    Some(reservation)
}

fn timed_out(what: &str, call: &Call) -> Attempt {
    failed(ErrorKind::Timeout, format!("{what} within {:.3} s", call.time_limit.as_secs_f64()))
}

fn failed(kind: ErrorKind, message: String) -> Attempt {
    Attempt::Failed(Failure::new(kind, message, Sent::Something))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(status: u16, value: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        retry_after(StatusCode::from_u16(status).unwrap(), &headers).map(|RetryAfter(wait)| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parsed(429, "120"), Some(120));
        assert_eq!(parsed(503, " 0 "), Some(0));
        assert_eq!(parsed(429, "Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!(matches!(parsed(429, &soon), Some(98..=100)));
    }

    #[test]
    fn garbage_is_no_retry_after_and_huge_is_bounded() {
        for garbage in ["soon", "-5", "1.5", "", "12 apples"] {
            assert_eq!(parsed(429, garbage), None, "{garbage}");
        }
        assert_eq!(parsed(429, "99999999999999999999999"), Some(10 * 366 * 24 * 3600));
        assert_eq!(parsed(500, "120"), None);
    }
}

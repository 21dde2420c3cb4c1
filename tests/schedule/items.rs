//! Jobs and attempts as the feed and the workers would make them.

use std::time::Duration;

use bytes::Bytes;
use fetchd::item::{
    Attempt, Body, Echo, ErrorKind, Failure, Head, Identity, Line, Request, Response, RetryAfter, Sent, Text, Ticket,
    Window,
};
use fetchd::schedule::{HealthConfig, HealthPolicy, HostLimits, Job, LongPause, QuotaPolicy};
use fetchd::units::Concurrency;
use futures::executor::block_on;
use http::{Method, StatusCode};
use url::Url;

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A host's limits with a given number of requests at once.
pub const fn limits(concurrency: u32, every: Duration) -> HostLimits {
    HostLimits {
        concurrency: Concurrency::Fixed(concurrency),
        max_concurrency: 64,
        every,
        quota: QuotaPolicy::Obey,
        long_pause: LongPause::Wait,
    }
}

/// Requests at once, of a host for which their number is given.
pub fn at_once(limits: &HostLimits) -> u32 {
    match limits.concurrency {
        Concurrency::Fixed(n) => n,
        Concurrency::Adaptive => limits.max_concurrency,
    }
}

/// Lines of hosts that cannot be reached make all their attempts.
pub fn no_circuits() -> HealthPolicy {
    HealthPolicy::from(&HealthConfig { enabled: false, ..HealthConfig::default() })
}

/// Lines come from two sources in turn.
pub fn source_of(ordinal: u64) -> usize {
    usize::from(ordinal % 2 == 1)
}

pub fn ticket(window: &Window, ordinal: u64) -> Ticket {
    let id = Identity { state_id: None, source: None, file: None, seq: ordinal + 1, round: 0 };
    let line = Line { id, text: Text::Whole(Bytes::from_static(b"x")), position: None };
    block_on(async { window.ticket(window.room().await?, &line, ordinal, source_of(ordinal)).await })
        .expect("the window stays open")
}

pub fn request(method: Method, url: &str) -> Request {
    Request { method, url: url.parse().expect(url), extra: None }
}

/// A line with a window to itself.
pub fn job(ordinal: u64, request: Request) -> Box<Job> {
    Job::new(ticket(&Window::new(1, 1), ordinal), Echo::text(request.url.as_str()), request, Duration::ZERO)
}

pub fn get(ordinal: u64, url: &str) -> Box<Job> {
    job(ordinal, request(Method::GET, url))
}

pub fn head(status: u16) -> Head {
    Head::new(StatusCode::from_u16(status).expect("a status"))
}

/// A response without a body.
pub fn whole(head: Head) -> Attempt {
    Attempt::Response(Box::new(Response { head, body: Body::default() }))
}

pub fn answered(status: u16) -> Attempt {
    whole(head(status))
}

/// A robots.txt.
pub fn robots(text: &str) -> Attempt {
    let body = Body { data: text.to_owned().into(), ..Body::default() };
    Attempt::Response(Box::new(Response { head: head(200), body }))
}

pub fn answered_later(status: u16, wait: Duration) -> Attempt {
    whole(Head { retry_after: Some(RetryAfter(wait)), ..head(status) })
}

pub fn redirected(status: u16, location: &str) -> Attempt {
    whole(Head { location: Some(location.into()), ..head(status) })
}

pub fn failed(kind: ErrorKind, sent: Sent) -> Attempt {
    Attempt::Failed(Failure::new(kind, format!("scripted {}", kind.name()), sent))
}

/// Hosts of scripts go by number; path 2 is at a port of its own.
pub fn url_of(host: usize, path: u8) -> Url {
    let port = if path == 2 { ":81" } else { "" };
    format!("http://h{host}.test{port}/{path}").parse().expect("a URL")
}

pub fn host_of(url: &Url) -> usize {
    let name = url.host_str().and_then(|name| name.strip_prefix('h')?.strip_suffix(".test"));
    name.and_then(|number| number.parse().ok()).expect("a host of the script")
}

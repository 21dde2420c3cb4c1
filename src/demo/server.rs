//! The embedded server of the tour: an API of simulated users on 20 loopback hosts, with typical faults, and pages of
//! issues.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The number of loopback addresses.
pub(super) const HOSTS: u8 = 20;

/// The response time of a user.
pub(super) const USER_DELAY: Duration = Duration::from_millis(300);

/// The number of pages of issues.
pub(super) const PAGES: u32 = 12;

/// The page whose first response is 429.
const BUSY_PAGE: u32 = 7;

/// The requests so far, because some faults happen once per URL.
type Seen = Arc<Mutex<HashSet<String>>>;

/// The running server; it stops when dropped.
pub(super) struct Server {
    pub hosts: Vec<SocketAddr>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts the server on free ports of 127.0.0.1 to 127.0.0.20.
    #[expect(clippy::disallowed_methods, reason = "the server is no part of the pipeline; its own set ends with it")]
    pub async fn start() -> std::io::Result<Self> {
        let (mut hosts, mut tasks, seen) = (Vec::new(), JoinSet::new(), Seen::default());
        for last in 1..=HOSTS {
            let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0)).await?;
            hosts.push(listener.local_addr()?);
            tasks.spawn(listen(listener, last, Arc::clone(&seen)));
        }
        Ok(Self { hosts, _tasks: tasks })
    }
}

#[expect(clippy::disallowed_methods, reason = "connections belong to their listener's set")]
async fn listen(listener: TcpListener, host: u8, seen: Seen) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        let service = service_fn(move |request| answer(request, host, Arc::clone(&seen)));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, host: u8, seen: Seen) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let (kind, n) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let n: u32 = n.parse().unwrap_or_default();
    let first_time = || seen.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{host}{path}"));
    if kind == "issues" {
        tokio::time::sleep(Duration::from_millis(40)).await;
        return Ok(if n == BUSY_PAGE && first_time() { busy() } else { issues(n) });
    }
    if kind == "users" {
        tokio::time::sleep(USER_DELAY).await;
        return Ok(user(n));
    }
    // The last host is slow, the others take 5 to 45 ms.
    let delay = if host == HOSTS { 150 } else { 5 + u64::from(n * 7 % 41) };
    tokio::time::sleep(Duration::from_millis(delay)).await;
    Ok(match n {
        _ if n.is_multiple_of(333) => status(StatusCode::NOT_FOUND),
        _ if n.is_multiple_of(97) && first_time() => busy(),
        _ if n.is_multiple_of(41) && first_time() => status(StatusCode::INTERNAL_SERVER_ERROR),
        _ => user(n),
    })
}

fn user(n: u32) -> Response<Full<Bytes>> {
    let body = format!("{{\n  \"id\": {n},\n  \"name\": \"user {n}\",\n  \"karma\": {}\n}}\n", n * 7919 % 1000);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// A page of 25 issues, with the link to the next one.
fn issues(page: u32) -> Response<Full<Bytes>> {
    let issue = |n: u32| format!("{{\"id\":{n},\"title\":\"issue {n}\"}}");
    let issues: Vec<_> = (1..=25).map(|n| issue(page.saturating_sub(1) * 25 + n)).collect();
    let mut response = Response::new(Full::new(Bytes::from(format!("[{}]", issues.join(",")))));
    let link = format!("</issues/{}>; rel=\"next\"", page + 1);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Ok(link) = header::HeaderValue::from_str(&link)
        && page < PAGES
    {
        headers.insert(header::LINK, link);
    }
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn busy() -> Response<Full<Bytes>> {
    let mut response = status(StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

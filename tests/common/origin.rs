//! A scripted HTTP/1.1 server made of bytes and no HTTP library, on a free port of a loopback address.
//!
//! It answers by path, keeps connections open, and remembers every request:
//!
//! | path | answer |
//! |---|---|
//! | `/ok/N` | 200, `{"n":N}` |
//! | `/status/CODE` | that status |
//! | `/retry-after/CODE/SECS` | that status with Retry-After the first time, then 200 |
//! | `/flaky/N` | 500 the first N times, then 200; counted by the whole target |
//! | `/redirect?to=URL&status=CODE` | a redirect, by default 302 |
//! | `/slow/MS` | 200 after that time |
//! | `/hang` | nothing, for as long as the client waits |
//! | `/reset`, `/close` | the connection is reset, or closed, without an answer |
//! | `/bytes/N` | N bytes |
//! | `/echo` | the request's method, headers and body as JSON |
//! | a path given to [`Origin::script`] | those bytes, then the end of the connection |

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::PATIENCE;

/// The server; dropped, it closes every connection.
pub struct Origin {
    address: SocketAddr,
    log: Arc<Log>,
    _stop: oneshot::Sender<()>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Lower-case names, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Request {
    /// The one value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(its_name, _)| its_name == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert_eq!(values.next(), None, "the header `{name}` came more than once");
        first
    }
}

impl Origin {
    /// A server on 127.0.0.1.
    pub fn start() -> Self {
        Self::start_at([127, 0, 0, 1])
    }

    /// A server on another loopback address, which makes it another host.
    pub fn start_at(ip: impl Into<IpAddr>) -> Self {
        let listener = std::net::TcpListener::bind((ip.into(), 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&log);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, log, _stop: stop }
    }

    /// `ADDRESS:PORT`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The URL of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a redirect from here to another URL.
    pub fn redirect(&self, status: u16, to: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("status", &status.to_string())
            .append_pair("to", to)
            .finish();
        self.url(&format!("/redirect?{query}"))
    }

    /// Answers a path with exactly these bytes and closes the connection; its URL comes back.
    pub fn script(&self, path: &str, answer: impl Into<Vec<u8>>) -> String {
        self.log.state.lock().unwrap().scripts.insert(path.to_owned(), answer.into());
        self.url(path)
    }

    /// How many connections were accepted.
    pub fn accepts(&self) -> usize {
        self.log.state.lock().unwrap().accepts
    }

    /// How many requests were without an answer at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.log.state.lock().unwrap().most_open
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.state.lock().unwrap().requests.clone()
    }

    /// Waits until this many requests have come.
    pub fn wait_for_requests(&self, n: usize) {
        let state = self.log.state.lock().unwrap();
        let waited = self.log.changed.wait_timeout_while(state, PATIENCE, |state| state.requests.len() < n);
        let (state, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "{} of {n} requests came", state.requests.len());
    }
}

/// A port of 127.0.0.9 where nobody listens. Nothing else binds there, so it stays free.
pub fn refusing_address() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.9", 0)).unwrap().local_addr().unwrap()
}

/// A 200 with this body and these further header lines, each ended with CRLF.
pub fn ok_with(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[derive(Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    accepts: usize,
    requests: Vec<Request>,
    /// Requests without an answer, now and at most.
    open: usize,
    most_open: usize,
    scripts: HashMap<String, Vec<u8>>,
    /// How often the targets that count were asked for.
    tries: HashMap<String, u32>,
}

/// What the server does about a request.
enum Act {
    Answer(Vec<u8>),
    AnswerAfter(Duration, Vec<u8>),
    AnswerAndClose(Vec<u8>),
    Hang,
    Reset,
    Close,
}

#[expect(clippy::disallowed_methods, reason = "these are connections of a test's server, which end with it")]
async fn serve(listener: std::net::TcpListener, log: Arc<Log>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        log.state.lock().unwrap().accepts += 1;
        connections.spawn(converse(stream, Arc::clone(&log)));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers requests until the client leaves. An error is the client's leaving, too.
async fn converse(mut stream: TcpStream, log: Arc<Log>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        let is_head = request.method == "HEAD";
        let act = match log.begin(request) {
            Act::Answer(bytes) if is_head => Act::Answer(head_of(&bytes).to_vec()),
            act => act,
        };
        let played = play(act, &mut stream).await;
        log.end();
        if played?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

/// Does what the script says; a break is the end of the connection.
async fn play(act: Act, stream: &mut TcpStream) -> io::Result<ControlFlow<()>> {
    match act {
        Act::Answer(bytes) => stream.write_all(&bytes).await?,
        Act::AnswerAfter(time, bytes) => {
            tokio::time::sleep(time).await;
            stream.write_all(&bytes).await?;
        }
        Act::AnswerAndClose(bytes) => {
            stream.write_all(&bytes).await?;
            return Ok(ControlFlow::Break(()));
        }
        Act::Hang => drop(stream.read_u8().await?),
        Act::Reset => {
            stream.set_zero_linger()?;
            return Ok(ControlFlow::Break(()));
        }
        Act::Close => return Ok(ControlFlow::Break(())),
    }
    Ok(ControlFlow::Continue(()))
}

/// An answer without its body.
fn head_of(answer: &[u8]) -> &[u8] {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").unwrap() + 4;
    &answer[..end]
}

/// The next request; `None` when the client has left. What comes after it stays in the buffer.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let end = head_end + 4 + length.parse::<usize>().unwrap();
    while buffer.len() < end {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[head_end + 4..end].to_vec();
    buffer.drain(..end);
    Ok(Some(Request { method, target, headers, body, at: Instant::now() }))
}

impl Log {
    /// Notes a request, and says what is to be done about it.
    fn begin(&self, request: Request) -> Act {
        let mut state = self.state.lock().unwrap();
        let act = state.act(&request);
        state.requests.push(request);
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        self.changed.notify_all();
        act
    }

    fn end(&self) {
        self.state.lock().unwrap().open -= 1;
    }
}

impl State {
    fn act(&mut self, request: &Request) -> Act {
        let path = request.target.split('?').next().unwrap_or_default();
        if let Some(script) = self.scripts.get(path) {
            return Act::AnswerAndClose(script.clone());
        }
        let mut parts = path.trim_start_matches('/').split('/');
        let kind = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or_default();
        match kind {
            "ok" => Act::Answer(json_answer(&json!({ "n": number() }))),
            "status" => Act::Answer(answer(number(), "", b"as asked for")),
            "retry-after" => {
                let (status, wait) = (number(), format!("retry-after: {}\r\n", number()));
                let first = self.tried(&request.target) == 1;
                Act::Answer(if first { answer(status, &wait, b"later") } else { answer(200, "", b"now") })
            }
            "flaky" => {
                let fails = self.tried(&request.target) <= number();
                Act::Answer(if fails { answer(500, "", b"not yet") } else { answer(200, "", b"at last") })
            }
            "redirect" => Act::Answer(redirect(&request.target)),
            "slow" => Act::AnswerAfter(Duration::from_millis(number().into()), answer(200, "", b"at last")),
            "hang" => Act::Hang,
            "reset" => Act::Reset,
            "close" => Act::Close,
            "bytes" => Act::Answer(answer(200, "", &vec![b'x'; number() as usize])),
            "echo" => Act::Answer(json_answer(&echo(request))),
            _ => Act::Answer(answer(404, "", b"no such path")),
        }
    }

    /// How often the target was asked for, this time included.
    fn tried(&mut self, target: &str) -> u32 {
        let tries = self.tries.entry(target.to_owned()).or_default();
        *tries += 1;
        *tries
    }
}

fn answer(status: u32, headers: &str, body: &[u8]) -> Vec<u8> {
    if matches!(status, 204 | 304) {
        return format!("HTTP/1.1 {status} Scripted\r\n{headers}\r\n").into();
    }
    let head = format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn json_answer(value: &Value) -> Vec<u8> {
    answer(200, "content-type: application/json\r\n", value.to_string().as_bytes())
}

fn redirect(target: &str) -> Vec<u8> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let keys: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let status = keys.get("status").map_or(302, |status| status.parse().unwrap());
    answer(status, &format!("location: {}\r\n", keys["to"]), b"")
}

fn echo(request: &Request) -> Value {
    let headers: Map<_, _> =
        request.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({ "method": request.method, "headers": headers, "body": String::from_utf8_lossy(&request.body) })
}

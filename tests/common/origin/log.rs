//! What a server remembers: its scripts, and everything that came.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard};

use tokio::time::Instant;

use super::paths::Paths;
use super::script::{Script, Step};
use super::wire::Wire;
use crate::common::PATIENCE;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Lower-case names, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When the server had read it.
    pub at: Instant,
    /// How many requests had no answer when it came, itself included; those of `Step::Read` are not counted.
    pub at_once: usize,
    /// When the server looked for requests before: the machine may have kept it waiting since, and the request with it.
    pub not_before: Instant,
}

impl Request {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The one value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(its_name, _)| its_name == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert_eq!(values.next(), None, "the header `{name}` came more than once");
        first
    }
}

/// The next request; `None` when the client has left. What comes after it stays in the buffer.
pub async fn read_request(wire: &mut Wire, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break end;
        }
        if wire.read(buffer).await? == 0 {
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
        if wire.read(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[head_end + 4..end].to_vec();
    buffer.drain(..end);
    let at = Instant::now();
    Ok(Some(Request { method, target, headers, body, at, not_before: at, at_once: 0 }))
}

#[derive(Default)]
pub struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    accepts: usize,
    resumed: usize,
    closes: usize,
    /// The last two times that the server looked for requests, the last one first.
    looks: [Option<Instant>; 2],
    requests: Vec<Request>,
    /// Requests without an answer, now and at most.
    open: usize,
    most_open: usize,
    of_accepts: VecDeque<Script>,
    of_paths: HashMap<String, VecDeque<Script>>,
    paths: Paths,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn script_path(&self, path: &str, scripts: impl IntoIterator<Item = Script>) {
        self.state().of_paths.insert(path.to_owned(), scripts.into_iter().collect());
    }

    pub fn script_accepts(&self, scripts: impl IntoIterator<Item = Script>) {
        self.state().of_accepts = scripts.into_iter().collect();
    }

    pub fn accept_token(&self, token: &str) {
        self.state().paths.token = token.to_owned();
    }

    pub fn change(&self, target: &str) {
        self.state().paths.versions.change(target);
    }

    /// Counts a connection, and says what is to be played on it.
    pub fn accept(&self) -> Script {
        let mut state = self.state();
        state.accepts += 1;
        next(&mut state.of_accepts).unwrap_or_else(|| vec![Step::Serve])
    }

    /// Counts a connection that resumed a TLS session.
    pub fn note_handshake(&self, is_resumed: bool) {
        self.state().resumed += usize::from(is_resumed);
    }

    /// The server's thread is awake, and looks for what has come.
    pub fn look(&self) {
        let mut state = self.state();
        state.looks = [Some(Instant::now()), state.looks[0]];
    }

    /// Counts a connection that is over.
    pub fn close(&self) {
        self.state().closes += 1;
        self.changed.notify_all();
    }

    /// Remembers a request that is answered by the connection's script.
    pub fn note(&self, mut request: Request) {
        let mut state = self.state();
        request.not_before = state.looks[1].unwrap_or(request.at);
        state.requests.push(request);
        drop(state);
        self.changed.notify_all();
    }

    /// Remembers a request, and says what is to be played for it.
    pub fn begin(&self, mut request: Request) -> Script {
        let mut state = self.state();
        let scripted = state.of_paths.get_mut(request.path()).and_then(next);
        let script = scripted.unwrap_or_else(|| state.paths.script(&request));
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        request.at_once = state.open;
        drop(state);
        self.note(request);
        script
    }

    /// A request's script has been played.
    pub fn end(&self) {
        self.state().open -= 1;
    }

    pub fn accepts(&self) -> usize {
        self.state().accepts
    }

    pub fn resumed(&self) -> usize {
        self.state().resumed
    }

    pub fn most_at_once(&self) -> usize {
        self.state().most_open
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    pub fn wait_for_requests(&self, n: usize) {
        self.wait_for(n, "requests", |state| state.requests.len());
    }

    pub fn wait_for_closes(&self, n: usize) {
        self.wait_for(n, "closes", |state| state.closes);
    }

    fn wait_for(&self, n: usize, what: &str, count: impl Fn(&State) -> usize) {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |state| count(state) < n);
        let (state, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "{} of {n} {what} came", count(&state));
    }
}

/// The scripts in turn; the last one stays.
fn next(scripts: &mut VecDeque<Script>) -> Option<Script> {
    if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() }
}

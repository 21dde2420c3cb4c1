//! A receiver of webhooks on a free port of a loopback address. It verifies every message with the published library of Standard
//! Webhooks, answers as the test says, and remembers what came.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;

use super::PATIENCE;

/// What messages are signed with.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Post {
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether it was answered with 2xx, or would have been.
    pub is_taken: bool,
}

/// What the receiver does with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Status(u16),
    /// With these further header lines, each ended with CRLF.
    StatusWith(u16, String),
    /// After so long.
    Late(Duration, u16),
    /// Takes the message and breaks the connection instead of an answer.
    TakesAndBreaks,
    /// Loses the message, and breaks the connection instead of an answer.
    Breaks,
    /// Answers with the head of a 200 and breaks the connection in its body.
    HalfAnswer,
    /// Is silent.
    Hangs,
}

type Manner = Arc<dyn Fn(&Post) -> Reply + Send + Sync>;

/// The receiver; its threads end with the test.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    seen: Mutex<Seen>,
    changed: Condvar,
}

struct Seen {
    posts: Vec<Post>,
    manner: Manner,
}

impl Receiver {
    /// One that does the same with every message.
    pub fn start(reply: Reply) -> Self {
        Self::start_with(move |_| reply.clone())
    }

    pub fn start_with(manner: impl Fn(&Post) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen { posts: Vec::new(), manner: Arc::new(manner) };
        let state = Arc::new(State { seen: Mutex::new(seen), changed: Condvar::new() });
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), Arc::clone(&served));
                // An error is the client's leaving.
                std::thread::spawn(move || drop(serve(&stream, &state)));
            }
        });
        Self { address, state }
    }

    /// From now on it does this with every message.
    pub fn turns(&self, reply: Reply) {
        self.state.lock().manner = Arc::new(move |_| reply.clone());
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// A table of a sink that posts here, with these further keys.
    pub fn sink(&self, name: &str, keys: &str) -> String {
        format!("[sink.{name}.webhook]\nurl = \"{}\"\nsecret = \"{SECRET}\"\n{keys}\n", self.url())
    }

    /// Every message so far, each of them verified.
    pub fn posts(&self) -> Vec<Post> {
        let posts = self.state.lock().posts.clone();
        posts.iter().for_each(Post::verify);
        posts
    }

    /// How many messages have come.
    pub fn count(&self) -> usize {
        self.state.lock().posts.len()
    }

    /// Waits until so many messages have come.
    pub fn wait_for_posts(&self, n: usize) {
        let waited = self.state.changed.wait_timeout_while(self.state.lock(), PATIENCE, |seen| seen.posts.len() < n);
        let (seen, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "{} of {n} messages came", seen.posts.len());
    }

    /// The messages that it took, by id; one that came several times was the same each time.
    pub fn taken(&self) -> BTreeMap<String, Vec<u8>> {
        let mut taken = BTreeMap::new();
        for post in self.posts().into_iter().filter(|post| post.is_taken) {
            if let Some(before) = taken.insert(post.id(), post.body.clone()) {
                assert_eq!(before, post.body, "two messages have the id {}", post.id());
            }
        }
        taken
    }

    /// The records of these messages, each message once, in the order in which they came first.
    pub fn records(&self) -> Vec<Value> {
        let mut ids = Vec::new();
        let mut records = Vec::new();
        for post in self.posts().into_iter().filter(|post| post.is_taken) {
            if !ids.contains(&post.id()) {
                ids.push(post.id());
                records.extend(post.records());
            }
        }
        records
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Post {
    pub fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    pub fn records(&self) -> Vec<Value> {
        assert!(self.body.ends_with(b"\n"));
        self.body.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// Holds the message to what is promised of each.
    fn verify(&self) {
        Webhook::new(SECRET).unwrap().verify(&self.body, &self.headers).unwrap();
        assert_eq!(self.headers["content-type"], "application/x-ndjson");
        assert!(!self.records().is_empty());
        assert!(self.id().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }
}

fn serve(stream: &TcpStream, state: &State) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some((target, headers)) = read_head(&mut reader)? {
        let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut post = Post { target, headers, body, is_taken: false };
        let manner = Arc::clone(&state.lock().manner);
        let reply = manner(&post);
        let takes = |status: &u16| (200..300).contains(status);
        post.is_taken = match &reply {
            Reply::Status(status) | Reply::StatusWith(status, _) | Reply::Late(_, status) => takes(status),
            Reply::TakesAndBreaks | Reply::HalfAnswer => true,
            Reply::Breaks | Reply::Hangs => false,
        };
        state.lock().posts.push(post);
        state.changed.notify_all();
        if !answer(stream, &reply)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers, and says whether the connection goes on.
fn answer(mut stream: &TcpStream, reply: &Reply) -> io::Result<bool> {
    let mut send = |status: u16, headers: &str| {
        let said = format!("HTTP/1.1 {status} Said\r\n{headers}content-length: 3\r\n\r\nso\n");
        stream.write_all(said.as_bytes())
    };
    match reply {
        Reply::Status(status) => send(*status, "").map(|()| true),
        Reply::StatusWith(status, headers) => send(*status, headers).map(|()| true),
        Reply::Late(time, status) => {
            std::thread::sleep(*time);
            send(*status, "").map(|()| true)
        }
        Reply::HalfAnswer => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\nhalf").map(|()| false),
        Reply::TakesAndBreaks | Reply::Breaks => Ok(false),
        Reply::Hangs => loop {
            std::thread::park();
        },
    }
}

/// The target and headers of the next request; `None` when the client has left.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<(String, HeaderMap)>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (Some("POST"), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (target, mut headers) = (target.to_owned(), HeaderMap::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some((target, headers))) };
        let (name, value) = (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value.trim()).unwrap());
        headers.append(name, value);
    }
}

//! A scripted HTTP/1.1 server made of bytes and no HTTP library, on a free port of a loopback address, plain or over TLS.
//!
//! Every connection plays a script of [`Step`]s. By default that is [`Step::Serve`]: requests are answered by their path,
//! with the script that the test gave for it, or else as the table in `paths.rs` says. Every accept and every request is
//! remembered.

mod items;
mod log;
mod paths;
mod quota;
mod script;
mod versions;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub use log::Request;
pub use script::{Script, Step, send};

use super::in_a_thread;
use log::Log;
use script::Connection;
use wire::Wire;

/// How often the server notes that it is awake.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The server; dropped, it closes every connection.
pub struct Origin {
    address: SocketAddr,
    scheme: &'static str,
    log: Arc<Log>,
    _stop: oneshot::Sender<()>,
}

impl Origin {
    /// A server on 127.0.0.1.
    pub fn start() -> Self {
        Self::start_at([127, 0, 0, 1])
    }

    /// A server on another loopback address, which makes it another host.
    pub fn start_at(ip: impl Into<IpAddr>) -> Self {
        Self::listen(ip.into(), None)
    }

    /// A server that speaks TLS first; `Identity::server` in `certs.rs` makes its configuration.
    pub fn start_tls(ip: impl Into<IpAddr>, tls: ServerConfig) -> Self {
        Self::listen(ip.into(), Some(TlsAcceptor::from(Arc::new(tls))))
    }

    /// A server on a socket that listens already.
    pub fn start_on(listener: std::net::TcpListener) -> Self {
        Self::serve(listener, None)
    }

    fn listen(ip: IpAddr, tls: Option<TlsAcceptor>) -> Self {
        Self::serve(std::net::TcpListener::bind((ip, 0)).unwrap(), tls)
    }

    fn serve(listener: std::net::TcpListener, tls: Option<TlsAcceptor>) -> Self {
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let log = Arc::new(Log::default());
        let stop = in_a_thread(serve(listener, tls, Arc::clone(&log)));
        Self { address, scheme, log, _stop: stop }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `ADDRESS:PORT`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The URL of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The URL of a redirect from here to another URL.
    pub fn redirect(&self, status: u16, to: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("status", &status.to_string())
            .append_pair("to", to)
            .finish();
        self.url(&format!("/redirect?{query}"))
    }

    /// Answers a path with exactly these bytes and closes the connection; its URL comes back. Where the bytes do not
    /// announce the end, another request may just be on its way.
    pub fn script(&self, path: &str, answer: impl Into<Vec<u8>>) -> String {
        self.play(path, [send(answer), Step::Close])
    }

    /// Plays this for every request for a path; its URL comes back.
    pub fn play(&self, path: &str, script: impl Into<Script>) -> String {
        self.play_in_turn(path, [script.into()])
    }

    /// Plays the first script for the first request for a path, and so on; the last one stays.
    pub fn play_in_turn(&self, path: &str, scripts: impl IntoIterator<Item = Script>) -> String {
        self.log.script_path(path, scripts);
        self.url(path)
    }

    /// From now on this token is good for `/token/N`, and no other.
    pub fn accept_token(&self, token: &str) {
        self.log.accept_token(token);
    }

    /// From now on there is another version of the page at `/versions/KIND/N`.
    pub fn change(&self, path: &str) {
        self.log.change(path);
    }

    /// Plays the first script on the next connection, and so on; the last one stays.
    pub fn on_accept(&self, scripts: impl IntoIterator<Item = Script>) {
        self.log.script_accepts(scripts);
    }

    /// How many connections were accepted.
    pub fn accepts(&self) -> usize {
        self.log.accepts()
    }

    /// How many connections resumed a TLS session.
    pub fn resumed(&self) -> usize {
        self.log.resumed()
    }

    /// Waits until this many connections are over.
    pub fn wait_for_closes(&self, n: usize) {
        self.log.wait_for_closes(n);
    }

    /// How many requests were without an answer at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.log.most_at_once()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.requests()
    }

    /// How many requests there were for a path, whatever their query.
    pub fn requests_for(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path() == path).count()
    }

    /// Waits until this many requests have come.
    pub fn wait_for_requests(&self, n: usize) {
        self.log.wait_for_requests(n);
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

#[expect(clippy::disallowed_methods, reason = "these are connections of a test's server, which end with it")]
async fn serve(listener: std::net::TcpListener, tls: Option<TlsAcceptor>, log: Arc<Log>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let stream = tokio::select! {
            Ok((stream, _)) = listener.accept() => stream,
            _ = looks.tick() => {
                log.look();
                continue;
            }
        };
        let script = log.accept();
        let (tls, log) = (tls.clone(), Arc::clone(&log));
        connections.spawn(async move {
            // An error is the client's leaving.
            if let Ok(wire) = Wire::open(stream, tls).await {
                log.note_handshake(wire.is_resumed());
                let _ = Connection::new(wire, Arc::clone(&log)).play_to_the_end(&script).await;
            }
            log.close();
        });
        while connections.try_join_next().is_some() {}
    }
}

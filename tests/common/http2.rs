//! A real HTTP/2 server over TLS, on a free port of 127.0.0.1. Requests for `/together` are answered so many at once, no
//! sooner and no fewer, so that what it sees at once does not depend on time; all others are answered as they come.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::{PATIENCE, in_a_thread};

/// The server; dropped, it closes every connection.
pub struct Http2 {
    address: SocketAddr,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

/// What the server counts.
#[derive(Default)]
struct Seen {
    accepts: AtomicUsize,
    closes: Mutex<usize>,
    closed: Condvar,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Http2 {
    pub fn start(tls: ServerConfig, together: usize) -> Self {
        let (listener, tls) = listen(tls);
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let stop = in_a_thread(serve(listener, tls, Arc::clone(&seen), Arc::new(Barrier::new(together))));
        Self { address, seen, _stop: stop }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// How many connections were accepted.
    pub fn accepts(&self) -> usize {
        self.seen.accepts.load(Ordering::SeqCst)
    }

    /// Waits until this many connections are over.
    pub fn wait_for_closes(&self, n: usize) {
        let closes = self.seen.closes.lock().unwrap();
        let waited = self.seen.closed.wait_timeout_while(closes, PATIENCE, |closes| *closes < n).unwrap();
        assert!(!waited.1.timed_out(), "{} of {n} closes came", *waited.0);
    }

    /// How many requests were without an answer at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }
}

/// A free port, and the way to speak TLS there, with HTTP/2 by ALPN.
pub fn listen(mut tls: ServerConfig) -> (std::net::TcpListener, TlsAcceptor) {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    (listener, TlsAcceptor::from(Arc::new(tls)))
}

#[expect(clippy::disallowed_methods, reason = "these are connections of a test's server, which end with it")]
async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, seen: Arc<Seen>, gate: Arc<Barrier>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        seen.accepts.fetch_add(1, Ordering::SeqCst);
        let (tls, seen, gate) = (tls.clone(), Arc::clone(&seen), Arc::clone(&gate));
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let of_request = Arc::clone(&seen);
            let service = service_fn(move |request| answer(request, Arc::clone(&of_request), Arc::clone(&gate)));
            // It ends when the client leaves.
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            *seen.closes.lock().unwrap() += 1;
            seen.closed.notify_all();
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Seen>,
    gate: Arc<Barrier>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_open.fetch_max(open, Ordering::SeqCst);
    if request.uri().path() == "/together" {
        gate.wait().await;
    }
    seen.open.fetch_sub(1, Ordering::SeqCst);
    Ok(Response::new(Full::from("over HTTP/2")))
}

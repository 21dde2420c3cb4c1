//! A lean HTTPS server on every loopback address, each of which is a host: ten requests a connection, then the server
//! closes it, as nginx does (`keepalive_requests`). It keeps an account of each run.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificates::Authority;
use super::counts::{Counts, Run};
use super::pages::{Pages, Then};

/// Requests that a connection lasts.
pub const REQUESTS: usize = 10;

/// The server, as seen from outside.
pub struct Origin {
    pub port: u16,
    /// The certificate to trust.
    pub ca: String,
    server: Arc<Server>,
}

struct Server {
    pages: Pages,
    authority: Authority,
    hosts: Mutex<HashMap<Ipv4Addr, TlsAcceptor>>,
    run: Mutex<Arc<Run>>,
}

impl Origin {
    /// Starts the server on a free port, in threads of its own that end with the process.
    pub fn start() -> Self {
        // Clients may keep a connection to each host.
        rlimit::increase_nofile_limit(u64::MAX).expect("more open files");
        let listener = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let port = listener.local_addr().expect("its address").port();
        let authority = Authority::new();
        let ca = authority.pem();
        let server =
            Arc::new(Server { pages: Pages::new(), authority, hosts: Mutex::default(), run: Mutex::default() });
        let serving = Arc::clone(&server);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(serve(listener, serving));
        });
        Self { port, ca, server }
    }

    /// Requests of the run so far.
    pub fn requests(&self) -> u64 {
        self.server.run().counts().requests
    }

    /// Ends the account of a run and begins that of the next.
    pub fn end_run(&self) -> Counts {
        std::mem::take(&mut *self.server.run.lock().expect("the account")).counts()
    }
}

impl Server {
    fn run(&self) -> Arc<Run> {
        Arc::clone(&self.run.lock().expect("the account"))
    }

    fn tls(&self, host: Ipv4Addr) -> TlsAcceptor {
        let mut hosts = self.hosts.lock().expect("the hosts");
        hosts.entry(host).or_insert_with(|| self.authority.server(host).into()).clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "connections end with the process")]
async fn serve(listener: std::net::TcpListener, server: Arc<Server>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&server)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves a connection to its end; what goes wrong with one is the client's to notice.
async fn connection(stream: TcpStream, server: Arc<Server>) -> std::io::Result<()> {
    let SocketAddr::V4(address) = stream.local_addr()? else { return Ok(()) };
    let host = *address.ip();
    let run = server.run();
    let has_ticket = run.accepted(host);
    stream.set_nodelay(true)?;
    let mut stream = server.tls(host).accept(stream).await?;
    run.shook_hands(has_ticket, stream.get_ref().1.handshake_kind());
    let mut buffer = Vec::with_capacity(1024);
    for request in 1..=REQUESTS {
        let Some(end) = head(&mut stream, &mut buffer).await? else { break };
        let then = if request == REQUESTS { Then::Close } else { Then::KeepAlive };
        let Some(answer) = server.pages.answer(&buffer[..end], then) else { break };
        run.requested();
        if request == 1 {
            run.sent_tickets(host);
        }
        stream.write_all(answer).await?;
        buffer.drain(..end);
    }
    stream.shutdown().await
}

/// Reads until a head is complete and returns where it ends, or none when the client has closed.
async fn head(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

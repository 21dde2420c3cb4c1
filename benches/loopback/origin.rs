//! A lean HTTP/1.1 server for measurements: it answers by the first letter of the path and remembers nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// Starts the server on a free port of an address, in threads of its own that end with the process.
pub fn start(ip: Ipv4Addr) -> SocketAddr {
    start_with(ip, None)
}

/// The same with HTTPS on 127.0.0.1; the certificate to trust is written to `ca`.
pub fn start_tls(ca: &Path) -> SocketAddr {
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(ca, identity.cert.pem()).expect("the certificate is written");
    let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![identity.cert.der().clone()], key.into())
        })
        .expect("a server's configuration");
    start_with(Ipv4Addr::LOCALHOST, Some(TlsAcceptor::from(Arc::new(config))))
}

fn start_with(ip: Ipv4Addr, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = std::net::TcpListener::bind((ip, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a non-blocking listener");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(serve(listener, tls));
    });
    address
}

#[expect(clippy::disallowed_methods, reason = "connections end with the process")]
async fn serve(listener: std::net::TcpListener, tls: Option<TlsAcceptor>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, tls.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// How a connection is to end.
enum End {
    Close,
    Reset,
}

/// Serves a connection to its end; what goes wrong with one is the client's to notice.
async fn connection(mut stream: TcpStream, tls: Option<TlsAcceptor>) -> std::io::Result<()> {
    match tls {
        Some(tls) => {
            let mut stream = tls.accept(stream).await?;
            answer_all(&mut stream).await?;
            stream.shutdown().await
        }
        None => match answer_all(&mut stream).await? {
            End::Close => Ok(()),
            End::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        },
    }
}

async fn answer_all(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<End> {
    let mut buffer = Vec::with_capacity(4096);
    let (item, once) = (item(""), item("connection: close\r\n"));
    let (missing, broken) = (head("404 Not Found", "", 0), head("500 Internal Server Error", "", 0));
    loop {
        let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(End::Close);
            }
            continue;
        };
        match buffer.iter().position(|byte| *byte == b'/').and_then(|slash| buffer.get(slash + 1)) {
            Some(b'm') => stream.write_all(missing.as_bytes()).await?,
            Some(b'b') => stream.write_all(broken.as_bytes()).await?,
            Some(b'o') => {
                stream.write_all(once.as_bytes()).await?;
                return Ok(End::Close);
            }
            Some(b'r') => return Ok(End::Reset),
            Some(b's') => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.write_all(item.as_bytes()).await?;
            }
            _ => stream.write_all(item.as_bytes()).await?,
        }
        buffer.drain(..end + 4);
    }
}

/// A JSON answer with a body of 713 bytes.
fn item(more: &str) -> String {
    let body = format!("{{\"id\":1,\"text\":\"{}\"}}", "x".repeat(713 - 18));
    format!("{}{body}", head("200 OK", more, body.len()))
}

fn head(status: &str, more: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n")
}

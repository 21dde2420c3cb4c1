//! A lean HTTP/1.1 server for measurements: it answers by the first letter of the path and remembers nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Starts the server on a free port of an address, in threads of its own that end with the process.
pub fn start(ip: Ipv4Addr) -> SocketAddr {
    let listener = std::net::TcpListener::bind((ip, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a non-blocking listener");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(serve(listener));
    });
    address
}

#[expect(clippy::disallowed_methods, reason = "connections end with the process")]
async fn serve(listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer_all(stream));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers until the connection ends; what goes wrong with one connection is the client's to notice.
async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    let (item, missing, broken) = (item(), head("404 Not Found", 0), head("500 Internal Server Error", 0));
    loop {
        let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        match buffer.iter().position(|byte| *byte == b'/').and_then(|slash| buffer.get(slash + 1)) {
            Some(b'm') => stream.write_all(missing.as_bytes()).await?,
            Some(b'b') => stream.write_all(broken.as_bytes()).await?,
            Some(b'r') => {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                return Ok(());
            }
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
fn item() -> String {
    let body = format!("{{\"id\":1,\"text\":\"{}\"}}", "x".repeat(713 - 18));
    format!("{}{body}", head("200 OK", body.len()))
}

fn head(status: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}

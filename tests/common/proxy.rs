//! Scripted proxies on a free port of 127.0.0.1: HTTP with CONNECT (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928,
//! RFC 1929). They remember what they were asked for; where they open a tunnel, it leads to one given address.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The proxy; its threads end with the test.
pub struct Proxy {
    scheme: &'static str,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// A tunnel leads to this address.
    Tunnel(SocketAddr),
    /// These bytes are the answer, and the connection is over.
    Answer(&'static [u8]),
}

impl Proxy {
    /// An HTTP proxy. It remembers heads.
    pub fn http(then: Then) -> Self {
        Self::start("http", move |stream, seen| {
            let head = read_head(&mut stream.try_clone()?)?;
            seen.lock().unwrap().push(head);
            go_on(stream, then, b"HTTP/1.1 200 Connection established\r\n\r\n")
        })
    }

    /// A SOCKS5 proxy that takes any credentials. It remembers `USER:PASSWORD@HOST:PORT`, or without credentials
    /// `HOST:PORT`; an address in place of a name is in brackets. An answer begins with the reply code.
    pub fn socks5(then: Then) -> Self {
        Self::start("socks5", move |mut stream, seen| {
            let asked = greet(&mut stream)? + &read_target(&mut stream)?;
            seen.lock().unwrap().push(asked);
            go_on(stream, then, &reply(0))
        })
    }

    fn start(
        scheme: &'static str,
        serve: impl Fn(TcpStream, &Mutex<Vec<String>>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (serve, memory) = (Arc::new(serve), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (serve, memory) = (Arc::clone(&serve), Arc::clone(&memory));
                // An error is the client's leaving.
                std::thread::spawn(move || serve(stream?, &memory));
            }
        });
        Self { scheme, address, seen }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For `fetch.proxy`; `credentials` are empty or end with `@`.
    pub fn url(&self, credentials: &str) -> String {
        format!("{}://{credentials}{}", self.scheme, self.address)
    }

    /// What it was asked for.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// The reply of a SOCKS5 proxy with this code, whose further fields say nothing.
pub const fn reply(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

fn go_on(mut client: TcpStream, then: Then, opened: &[u8]) -> io::Result<()> {
    match then {
        Then::Answer(answer) => client.write_all(answer),
        Then::Tunnel(to) => {
            let server = TcpStream::connect(to)?;
            client.write_all(opened)?;
            let back = (server.try_clone()?, client.try_clone()?);
            std::thread::spawn(move || relay(back.0, back.1));
            relay(client, server)
        }
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(byte(stream)?);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// Takes credentials where the client offers them.
fn greet(stream: &mut TcpStream) -> io::Result<String> {
    const USER_AND_PASSWORD: u8 = 2;
    let [_version, methods] = bytes(stream)?;
    let mut offered = vec![0; usize::from(methods)];
    stream.read_exact(&mut offered)?;
    if !offered.contains(&USER_AND_PASSWORD) {
        stream.write_all(&[5, 0])?;
        return Ok(String::new());
    }
    stream.write_all(&[5, USER_AND_PASSWORD])?;
    let [_version] = bytes(stream)?;
    let (user, password) = (text(stream)?, text(stream)?);
    stream.write_all(&[1, 0])?;
    Ok(format!("{user}:{password}@"))
}

fn read_target(stream: &mut TcpStream) -> io::Result<String> {
    let [_version, _command, _reserved, kind] = bytes(stream)?;
    let host = match kind {
        1 => format!("[{:?}]", bytes::<4>(stream)?),
        3 => text(stream)?,
        _ => format!("[{:?}]", bytes::<16>(stream)?),
    };
    Ok(format!("{host}:{}", u16::from_be_bytes(bytes(stream)?)))
}

/// A text after its length.
fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = vec![0; usize::from(byte(stream)?)];
    stream.read_exact(&mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

fn byte(stream: &mut TcpStream) -> io::Result<u8> {
    let [byte] = bytes(stream)?;
    Ok(byte)
}

fn bytes<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

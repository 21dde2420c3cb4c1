//! An HTTP/2 server made of frames and no HTTP library, over TLS, on a free port of 127.0.0.1: it plays the first script
//! for the first request, and so on; the last one stays.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::http2::listen;
use super::in_a_thread;

/// Error codes (RFC 9113, section 7).
pub const NO_ERROR: u32 = 0;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;

/// `:status: 200`, `content-length: 9` and `X: y` (not lower case, so malformed), in HPACK (RFC 7541).
const STATUS_200: &[u8] = b"\x88";
const LENGTH_9: &[u8] = b"\x0f\x0d\x019";
const MALFORMED: &[u8] = b"\x00\x01X\x01y";

/// What is done on the stream of a request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A 200 without a length.
    Head,
    /// A 200 with a length of 9.
    HeadOf9,
    /// A 200 whose headers are malformed.
    MalformedHead,
    Data(&'static [u8]),
    /// Data, and the end of the stream.
    LastData(&'static [u8]),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code, by which this stream was not processed.
    GoAway(u32),
    /// The connection ends without a word.
    Cut,
}

/// The server.
pub struct Frames {
    address: SocketAddr,
    accepts: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

type Scripts = Arc<Mutex<VecDeque<&'static [Act]>>>;

impl Frames {
    pub fn start(tls: ServerConfig, scripts: &[&'static [Act]]) -> Self {
        let (listener, tls) = listen(tls);
        let (address, accepts) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let scripts = Arc::new(Mutex::new(scripts.iter().copied().collect()));
        let stop = in_a_thread(serve(listener, tls, Arc::clone(&accepts), scripts));
        Self { address, accepts, _stop: stop }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// How many connections were accepted.
    pub fn accepts(&self) -> usize {
        self.accepts.load(Ordering::SeqCst)
    }
}

#[expect(clippy::disallowed_methods, reason = "these are connections of a test's server, which end with it")]
async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, accepts: Arc<AtomicUsize>, scripts: Scripts) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        accepts.fetch_add(1, Ordering::SeqCst);
        let (tls, scripts) = (tls.clone(), Arc::clone(&scripts));
        connections.spawn(async move { play(tls.accept(stream).await?, &scripts).await });
    }
}

/// Reads frames and plays the next script for the head of each request, until the client leaves.
async fn play(mut wire: impl AsyncReadExt + AsyncWriteExt + Unpin, scripts: &Scripts) -> io::Result<()> {
    const PREFACE: usize = 24;
    wire.read_exact(&mut [0; PREFACE]).await?;
    wire.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        wire.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        wire.read_exact(&mut vec![0; length as usize]).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => wire.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            HEADERS => {
                for act in next(scripts) {
                    match bytes_of(*act, stream) {
                        Some(bytes) => wire.write_all(&bytes).await?,
                        None => return Ok(()),
                    }
                }
                wire.flush().await?;
            }
            _ => {}
        }
    }
}

fn next(scripts: &Scripts) -> &'static [Act] {
    let mut scripts = scripts.lock().unwrap();
    if scripts.len() > 1 { scripts.pop_front().unwrap() } else { scripts[0] }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

fn bytes_of(act: Act, stream: u32) -> Option<Vec<u8>> {
    let head = |fields: &[&[u8]]| frame(HEADERS, END_HEADERS, stream, &fields.concat());
    Some(match act {
        Act::Head => head(&[STATUS_200]),
        Act::HeadOf9 => head(&[STATUS_200, LENGTH_9]),
        Act::MalformedHead => head(&[STATUS_200, MALFORMED]),
        Act::Data(bytes) => frame(DATA, 0, stream, bytes),
        Act::LastData(bytes) => frame(DATA, END_STREAM, stream, bytes),
        Act::Reset(code) => frame(RST_STREAM, 0, stream, &code.to_be_bytes()),
        // Clients number their streams by twos.
        Act::GoAway(code) => {
            frame(GOAWAY, 0, 0, &[stream.saturating_sub(2).to_be_bytes(), code.to_be_bytes()].concat())
        }
        Act::Cut => return None,
    })
}

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

//! The HTTP client of `fetchd ctl`: one request, over the Unix socket.

use std::fmt;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::FutureExt;
use futures::future::Fuse;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::question::Question;

/// The timeout of a response: longer than those of the API.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest response, and the longest line of a stream, in bytes.
const MOST_BYTES: usize = 8 << 20;

/// The message about responses that the API does not send.
pub(super) const NO_FETCHD: &str = "the process that listens at the socket is no fetchd, or one of another version";

/// Connects once for each request.
pub(super) struct Client {
    socket: PathBuf,
}

/// A response of the API.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub text: String,
    /// The text as JSON, if it is JSON.
    pub value: Option<Value>,
}

/// Why there is no response: a sentence.
#[derive(Debug)]
pub(super) enum Unreached {
    /// The path is not that of a socket.
    Path(String),
    /// No process listens, or this user may not connect.
    Nobody(String),
    /// The connection ended before the response did.
    Lost(String),
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Path(text) | Self::Nobody(text) | Self::Lost(text)) = self;
        f.write_str(text)
    }
}

impl Answer {
    /// The sentence of an error response; all others have status 200.
    pub fn error(&self) -> Option<&str> {
        if self.status == 200 {
            return None;
        }
        let message = self.value.as_ref().and_then(|value| value["error"]["message"].as_str());
        Some(message.unwrap_or(NO_FETCHD))
    }
}

type Wire = Fuse<Connection<TokioIo<UnixStream>, Full<Bytes>>>;

impl Client {
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Sends a request; retries a response 429 twice, after a second each.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn ask(&self, question: &Question) -> Result<Answer, Unreached> {
        const TRIES: u32 = 3;
        for _ in 1..TRIES {
            let answer = self.ask_once(question).await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            sleep(Duration::from_secs(1)).await;
        }
        self.ask_once(question).await
    }

    async fn ask_once(&self, question: &Question) -> Result<Answer, Unreached> {
        let (mut wire, response) = self.send(question).await?;
        self.whole(&mut wire, response).await
    }

    /// Sends a request whose response is an endless stream of lines, or an error.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn follow(&self, question: &Question) -> Result<Result<Lines, Answer>, Unreached> {
        let (mut wire, response) = self.send(question).await?;
        if !response.status().is_success() {
            return Ok(Err(self.whole(&mut wire, response).await?));
        }
        Ok(Ok(Lines { wire: Some(wire), body: response.into_body(), read: Vec::new() }))
    }

    async fn send(&self, question: &Question) -> Result<(Wire, http::Response<Incoming>), Unreached> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreached(&error))?;
        let (mut sender, wire) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| self.lost())?;
        let mut wire = wire.fuse();
        let request = match question {
            Question::Get(path) => Request::get(path).body(Full::default()),
            Question::Post(path, fields) => {
                let body = serde_json::to_vec(fields).unwrap_or_default();
                Request::post(*path).header(header::CONTENT_TYPE, "application/json").body(Full::from(body))
            }
        };
        let mut request = request.map_err(|_| self.lost())?;
        request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
        let answered = async {
            let mut response = std::pin::pin!(sender.send_request(request));
            let response = tokio::select! {
                response = &mut response => response,
                // The connection may end before its last response has been taken out of it.
                _ = &mut wire => response.await,
            };
            response.map_err(|_| self.lost())
        };
        let response = timeout(PATIENCE, answered).await.unwrap_or_else(|_| Err(self.lost()))?;
        Ok((wire, response))
    }

    /// Reads all of a response.
    async fn whole(&self, wire: &mut Wire, response: http::Response<Incoming>) -> Result<Answer, Unreached> {
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect();
        let mut body = std::pin::pin!(body);
        let collected = async {
            tokio::select! {
                body = &mut body => body,
                // The connection may end before the body has been taken out of it.
                _ = wire => body.await,
            }
        };
        let body = timeout(PATIENCE, collected).await.map_err(|_| self.lost())?.map_err(|_| self.lost())?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let value = serde_json::from_str(&text).ok();
        Ok(Answer { status, text, value })
    }

    fn unreached(&self, error: &io::Error) -> Unreached {
        let shown = self.socket.display();
        // Connecting to a file fails like connecting to a socket without a listener.
        let is_other = std::fs::metadata(&self.socket).is_ok_and(|file| !file.file_type().is_socket());
        match error.kind() {
            _ if is_other => Unreached::Path(format!("{shown} is no socket; name the path of api.socket")),
            io::ErrorKind::InvalidInput => {
                Unreached::Path(format!("{shown} is too long for the path of a socket; give a shorter path"))
            }
            io::ErrorKind::PermissionDenied => Unreached::Nobody(format!(
                "this user may not connect to {shown}; become fetchd's user, or a member of api.socket_group"
            )),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Unreached::Nobody(format!(
                "no fetchd listens at {shown}; start it with api.socket, or name its socket with --socket or -c"
            )),
            _ => Unreached::Nobody(format!("cannot connect to {shown}: {error}")),
        }
    }

    fn lost(&self) -> Unreached {
        Unreached::Lost(format!("fetchd did not respond at {}; try again, or look at its log", self.socket.display()))
    }
}

/// A stream of lines from a response.
pub(super) struct Lines {
    /// The connection, until it has ended.
    wire: Option<Wire>,
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// If the connection is lost, or a line is too long.
    pub async fn next(&mut self) -> Result<Option<String>, Unreached> {
        let lost = || Unreached::Lost("the connection to fetchd was lost; try again".to_owned());
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.read.len() > MOST_BYTES {
                return Err(lost());
            }
            let frame = match &mut self.wire {
                None => self.body.frame().await,
                Some(wire) => tokio::select! {
                    frame = self.body.frame() => frame,
                    _ = wire => {
                        self.wire = None;
                        continue;
                    }
                },
            };
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(lost()),
                Some(Ok(frame)) => self.read.extend_from_slice(frame.into_data().unwrap_or_default().chunk()),
            }
        }
    }
}

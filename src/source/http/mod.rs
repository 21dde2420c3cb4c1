//! The source `http`: producers push lines with `POST /v1/lines`, one batch per request.
//!
//! ```text
//!                      bodies           batches
//! connections (server) ──────► decoder ────────► acceptor ──► journal ──► read_back ──► the source's lines
//!       ▲                       thread            thread         │
//!       └────────────── replies ◄─────────────────┘ after the fsync
//! ```
//!
//! A request is answered with 202 once its lines are synced to the journal. One stage of the run serves the
//! connections; two threads do the slow work, decoding and fsync. Everything is bounded: connections by
//! `max_connections`, bodies by `memory`, batches by `decoder`, the time of a request by `timeout`.

mod acceptor;
mod answers;
mod body;
mod connection;
mod connections;
mod decode;
mod decoder;
mod done_lines;
mod endpoint;
mod listener;
mod memory;
mod request_head;
mod server;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::acceptor::Acceptor;
use self::decoder::Decoder;
use self::done_lines::DoneLines;
use self::endpoint::Endpoint;
use self::listener::Address;
use self::memory::BodyMemory;
use super::intake::Intake;
use super::journal_gauge::Bounds;
use super::{CheckContext, Inputs, SavedState, Source, SourceConfig, read_back};
use crate::diagnostics::Section;
use crate::error::BoxError;
use crate::units::{Secret, Size, Span};

/// `[source.NAME.http]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The path of the Unix socket at which it listens.
    pub socket: Option<PathBuf>,
    /// The loopback address and port at which it listens instead.
    pub listen: Option<String>,
    /// The token that producers send as `Authorization: Bearer TOKEN`.
    pub token: Option<Secret<String>>,
    /// A longer line is rejected.
    pub max_line: Size,
    /// The size of the journal at which batches are refused.
    pub max_journal: Size,
    /// The most connections at once.
    pub max_connections: u32,
    /// The timeout of a request's head, and then of its body.
    pub timeout: Span,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            socket: None,
            listen: None,
            token: None,
            max_line: Size::mib(1),
            max_journal: Size::mib(4096),
            max_connections: 64,
            timeout: Span::secs(30),
        }
    }
}

/// The largest `max_connections`.
const MOST_CONNECTIONS: u32 = 10_000;

/// The longest path that a Unix socket can have, in bytes.
const LONGEST_SOCKET_PATH: usize = 107;

impl SourceConfig for Http {
    fn check(&self, context: &CheckContext<'_>, section: &mut Section<'_>) {
        context.check_max_line(self.max_line, section);
        self.check_place(section);
        if self.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
            section.add("token", "`token` is empty; write for example token = \"${file:token}\"");
        }
        if self.max_journal.0 == 0 {
            section.add("max_journal", "`max_journal` is 0, so no line could be accepted; write for example \"4GiB\"");
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.max_connections) {
            let message =
                format!("`max_connections` is {}; it can be from 1 to {MOST_CONNECTIONS}", self.max_connections);
            section.add("max_connections", message);
        }
        if self.timeout.0.is_zero() {
            section.add("timeout", "`timeout` is 0, so no request could be received; write for example \"30s\"");
        }
        if context.data_dir.is_none() {
            let message = "pushed lines are kept in a journal, which needs a place; write for example [state] with data_dir = \"/var/lib/fetchd\"";
            section.add_with("socket", &["state.data_dir"], message);
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs::default()
    }

    fn listens_at(&self) -> Option<String> {
        self.address().ok().map(|address| address.to_string())
    }

    /// The listener, connections, those being accepted or closed, and the files of the journal.
    fn open_files(&self) -> u64 {
        const OF_JOURNAL: u64 = 4;
        1 + u64::from(self.max_connections) + connections::SPARE as u64 + OF_JOURNAL
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn open(&self, name: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Source, BoxError> {
        let saved = saved.ok_or("a source `http` needs a data directory for its journal")?;
        let bound = self.address()?.listen()?;
        let bounds = Bounds { max_journal: self.max_journal.0, min_free: saved.min_free };
        let intake = Intake::open(bounds, &saved)?;
        let (source, failed) = read_back::source(&intake, name.clone(), &saved);
        let settled = saved.files.get("").cloned().unwrap_or_default();
        let done = Arc::new(DoneLines::new(Arc::clone(intake.index()), settled));
        let stop = intake.stop().clone();
        let connections = self.max_connections as usize;
        // Each connection has one request at a time.
        let ((uploads, from_connections), (batches, from_decoder)) =
            (mpsc::channel(connections + connections::SPARE), mpsc::channel(connections + connections::SPARE));
        let decoder = Decoder::new(usize::try_from(self.max_line.0)?, batches);
        std::thread::spawn(move || decoder.run(from_connections));
        let ended = CancellationToken::new();
        let acceptor = Acceptor::new(intake, ended.clone());
        std::thread::spawn(move || acceptor.run(from_decoder, failed));
        let endpoint = Endpoint {
            token: self.token.clone(),
            state_id: Arc::clone(&saved.state_id),
            source: name,
            uploads,
            memory: BodyMemory::default(),
            timeout: self.timeout.0,
            done: Arc::clone(&done),
            stop: stop.clone(),
            ended,
        };
        let service = server::serve(bound, Arc::new(endpoint), connections, stop).boxed();
        Ok(Source { trim: Some(done), service: Some(service), ..source })
    }
}

impl Http {
    /// Reports problems of `socket` and `listen`.
    fn check_place(&self, section: &mut Section<'_>) {
        match (&self.socket, &self.listen) {
            (None, None) => {
                let message =
                    "a source `http` needs a place to listen at; write for example socket = \"/run/fetchd/in.sock\"";
                section.add("socket", message);
            }
            (Some(_), Some(_)) => {
                section.add("listen", "`socket` and `listen` are both given; keep one, or add a second source");
            }
            (Some(socket), None) if socket.as_os_str().len() > LONGEST_SOCKET_PATH => {
                let message = format!(
                    "the path of a Unix socket can have {LONGEST_SOCKET_PATH} bytes, and `socket` has {}; shorten it",
                    socket.as_os_str().len()
                );
                section.add("socket", message);
            }
            (Some(socket), None) if socket.file_name().is_none() => {
                section.add("socket", "`socket` is not the path of a file; write for example \"/run/fetchd/in.sock\"");
            }
            (Some(_), None) => {}
            (None, Some(_)) => self.check_listen(section),
        }
    }

    fn check_listen(&self, section: &mut Section<'_>) {
        match self.address() {
            Err(message) => section.add("listen", message),
            Ok(Address::Tcp(address)) if !is_loopback(address) => {
                let message = format!(
                    "other machines can reach `listen` at {address}, and fetchd speaks no TLS there; write for example \"127.0.0.1:{}\", with a proxy in front that does",
                    address.port()
                );
                section.add("listen", message);
            }
            Ok(_) => {}
        }
        if self.token.is_none() {
            let message = "every user of this machine can connect to `listen`, so it needs a token; write for example token = \"${file:token}\", or use `socket`, which has permissions";
            section.add("listen", message);
        }
    }

    /// The configured address.
    fn address(&self) -> Result<Address, String> {
        match (&self.socket, &self.listen) {
            (Some(path), _) => Ok(Address::Socket(path.clone())),
            (None, Some(text)) => text.parse().map(Address::Tcp).map_err(|_| {
                format!("`listen` is `{text}`, which is no address with a port; write for example \"127.0.0.1:8099\"")
            }),
            (None, None) => Err("it has neither `socket` nor `listen`".to_owned()),
        }
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}

//! Serves the requests of one connection, and closes it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::endpoint::Endpoint;
use crate::listener::Stream;

/// The most bytes of a request head, and of one read.
const MOST_BUFFERED: usize = 64 << 10;

/// How long a closing connection may take for its last response.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No request has arrived.
    Fresh,
    /// A request is being answered.
    Busy,
    /// All requests so far are answered.
    Idle,
}

/// The handle of a connection: its phase, and how to close it.
#[derive(Debug)]
pub(super) struct Seat {
    phase: Mutex<Phase>,
    leave: CancellationToken,
    /// Notified when the connection becomes idle.
    idle: Arc<Notify>,
}

impl Seat {
    pub fn new(idle: Arc<Notify>) -> Self {
        Self { phase: Mutex::new(Phase::Fresh), leave: CancellationToken::new(), idle }
    }

    /// Whether the connection can be closed without failing a request.
    pub fn is_evictable(&self) -> bool {
        self.phase() != Phase::Busy && !self.leave.is_cancelled()
    }

    /// Closes the connection after its current request.
    pub fn close(&self) {
        self.leave.cancel();
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        if phase == Phase::Idle {
            self.idle.notify_one();
        }
    }
}

/// Serves a connection until it ends or is closed.
pub(super) async fn serve(stream: Box<dyn Stream>, endpoint: Arc<Endpoint>, seat: Arc<Seat>) {
    let timeout_of_head = endpoint.timeout;
    let of_requests = Arc::clone(&seat);
    let service = service_fn(move |request| answer(request, Arc::clone(&endpoint), Arc::clone(&of_requests)));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout_of_head)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        biased;
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = seat.leave.cancelled() => {
            if seat.phase() == Phase::Fresh {
                return;
            }
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            let last = timeout(LAST_ANSWER, poll_fn(|cx| connection.poll_without_shutdown(cx)));
            last.await.unwrap_or(Ok(()))
        }
    };
    let parts = connection.into_parts();
    let has_timed_out = ended.is_err_and(|error| error.is_timeout());
    let _ = timeout(LAST_ANSWER, hang_up(parts, has_timed_out)).await;
}

fn answer(
    request: Request<Incoming>,
    endpoint: Arc<Endpoint>,
    seat: Arc<Seat>,
) -> BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>> {
    async move {
        seat.set(Phase::Busy);
        let response = endpoint.answer(request).await;
        seat.set(Phase::Idle);
        Ok(response)
    }
    .boxed()
}

/// Closes the stream; first answers a head that timed out, unless no byte of it arrived.
async fn hang_up<S>(parts: Parts<TokioIo<Box<dyn Stream>>, S>, has_timed_out: bool) {
    const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let mut stream = parts.io.into_inner();
    if has_timed_out && !parts.read_buf.is_empty() {
        let _ = stream.write_all(TOO_SLOW).await;
    }
    let _ = stream.shutdown().await;
}

//! A connection to the API: serves its requests one by one, each admitted, bounded in time, and isolated from panics.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::admission::{Pace, refuse_foreign};
use super::answer::Failure;
use super::requests::ApiRequests;
use super::write_timeout::WriteTimeout;
use crate::error::panic_message;
use crate::listener::Stream;

/// The timeout of a request's head, and of an idle connection.
const HEAD: Duration = Duration::from_secs(5);

/// The timeout of a request, its body included.
const REQUEST: Duration = Duration::from_secs(10);

/// The timeout of a write to a client that does not read.
const WRITE: Duration = Duration::from_secs(10);

/// How long a connection may take for its last response once the API ends.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// The largest head and the size of the read buffer, in bytes.
const MOST_BUFFERED: usize = 64 << 10;

/// The state that all connections of a listener share.
pub(super) struct Door {
    pub router: Router,
    pub pace: Pace,
    pub requests: ApiRequests,
}

/// Whether a connection stays open after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    StayOpen,
    Close,
}

/// Serves a connection until it ends, or `stop` is cancelled.
pub(super) async fn serve(stream: Box<dyn Stream>, door: Arc<Door>, then: Then, stop: CancellationToken) {
    let requests = door.requests.clone();
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request, then).await) }
    });
    let stream = TokioIo::new(WriteTimeout::new(stream, WRITE));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let served = async {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, connection).await;
    };
    if AssertUnwindSafe(served).catch_unwind().await.is_err() {
        requests.count_panic();
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>, then: Then) -> Response {
        let path = request.uri().path().to_owned();
        let admitted = self.pace.count(Instant::now()).and_then(|()| refuse_foreign(&request));
        let mut response = match admitted {
            Ok(()) => self.route(request).await,
            Err(failure) => failure.into_response(),
        };
        if then == Then::Close || response.status().is_server_error() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.requests.count(&path, response.status());
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Response {
        let answer = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        match timeout(REQUEST, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Err(panic)) => {
                self.requests.count_panic();
                tracing::error!("a request to the API panicked: {}", panic_message(panic.as_ref()));
                let message = "the request failed because of a defect of fetchd; see its log; the run goes on";
                Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
            }
            Err(_) => {
                let message =
                    format!("the request took longer than {} s; a change that it began goes on", REQUEST.as_secs());
                Failure::new(StatusCode::REQUEST_TIMEOUT, message).into_response()
            }
        }
    }
}

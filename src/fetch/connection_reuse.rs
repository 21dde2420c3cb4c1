//! Detects which requests used a pooled connection. reqwest does not report it, so the connector notes the connection
//! that it opens for a request ([`NoteOpened`]), and `execute` compares it with the connection of the result.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Extensions;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpInfo};
use tokio::task_local;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};

use super::connection_counts::ConnectionCounts;
use super::handshake::Handshake;
use crate::error::find;

task_local! {
    /// The connection that was opened for the request of this task.
    static OPENED: Cell<Option<Ends>>;
}

/// The connection that a request went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// None: there was no connection.
    None,
    /// One that was opened for this request.
    New,
    /// One that was open before: idle, or shared with HTTP/2.
    Kept,
}

/// Sends a request; returns its result and the kind of its connection.
pub(super) async fn execute(
    client: &reqwest::Client,
    request: reqwest::Request,
) -> (reqwest::Result<reqwest::Response>, Carrier) {
    let sent = async {
        let result = client.execute(request).await;
        let used = match &result {
            Ok(response) => Ends::of(response.extensions()),
            Err(error) => {
                find::<legacy::Error>(error).and_then(legacy::Error::connect_info).and_then(Ends::of_connected)
            }
        };
        let carrier = match used {
            None => Carrier::None,
            Some(used) if OPENED.with(Cell::get) == Some(used) => Carrier::New,
            Some(_) => Carrier::Kept,
        };
        (result, carrier)
    };
    OPENED.scope(Cell::new(None), sent).await
}

/// The connector layer that adds a [`NotingConnector`] to a client.
#[derive(Clone, Debug)]
pub(super) struct NoteOpened(pub Arc<ConnectionCounts>);

/// A connector that notes and counts the connections that it opens. The client clones it several times for each
/// request; the inner connector is cloned only for each connection.
#[derive(Debug)]
pub(super) struct NotingConnector<S> {
    connector: Arc<S>,
    counts: Arc<ConnectionCounts>,
}

impl<S> Layer<S> for NoteOpened {
    type Service = NotingConnector<S>;

    fn layer(&self, connector: S) -> NotingConnector<S> {
        NotingConnector { connector: Arc::new(connector), counts: Arc::clone(&self.0) }
    }
}

impl<S> Clone for NotingConnector<S> {
    fn clone(&self) -> Self {
        Self { connector: Arc::clone(&self.connector), counts: Arc::clone(&self.counts) }
    }
}

impl<S, R> Service<R> for NotingConnector<S>
where
    S: Service<R, Response: Connection + Send, Error: Send, Future: Send> + Clone + Send + Sync + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: R) -> Self::Future {
        let (connector, counts) = (S::clone(&self.connector), Arc::clone(&self.counts));
        Box::pin(async move {
            let start = Instant::now();
            let (connection, handshake) = Handshake::of(connector.oneshot(target)).await;
            let connection = connection?;
            counts.note_opened(handshake, start.elapsed());
            // If the request got a pooled connection meanwhile, a task of the client runs this, without `OPENED`.
            let _ = OPENED.try_with(|opened| opened.set(Ends::of_connected(&connection.connected())));
            Ok(connection)
        })
    }
}

/// The addresses of a connection, which identify it while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    local: SocketAddr,
    remote: SocketAddr,
}

impl Ends {
    fn of(extensions: &Extensions) -> Option<Self> {
        let info = extensions.get::<HttpInfo>()?;
        Some(Self { local: info.local_addr(), remote: info.remote_addr() })
    }

    fn of_connected(connected: &Connected) -> Option<Self> {
        let mut extensions = Extensions::new();
        connected.get_extras(&mut extensions);
        Self::of(&extensions)
    }
}

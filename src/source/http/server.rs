//! The pipeline stage that serves producers until the source is stopped.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use super::endpoint::Endpoint;
use crate::error::BoxError;
use crate::listener::{Bound, Listener};

/// Serves a listener, with at most `most` connections, until `stop` is cancelled. Requests in progress are answered.
///
/// # Errors
/// When the listener cannot be served.
pub(super) async fn serve(
    bound: Bound,
    endpoint: Arc<Endpoint>,
    most: usize,
    stop: CancellationToken,
) -> Result<(), BoxError> {
    let listener = Listener::new(bound)?;
    let mut connections = Connections::new(most);
    loop {
        let has_room = connections.has_room();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = connections.next_change() => {}
            stream = listener.accept("a producer"), if has_room => connections.add(stream, &endpoint),
        }
    }
    // Close the socket before the last response, so that no producer connects in vain.
    drop(listener);
    connections.close().await;
    Ok(())
}

//! The accept loop of a listener, which also serves the connections.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::config::MOST_CONNECTIONS;
use super::connection::{Door, Then, serve};
use crate::listener::Listener;

/// Serves a listener, with `spare` connections beyond the usual limit, until `stop` is cancelled. Requests that are
/// being served then still get their responses.
pub(super) async fn accept(listener: Listener, door: Door, spare: usize, stop: CancellationToken) {
    let door = Arc::new(door);
    let mut open: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    loop {
        let has_room = open.len() < MOST_CONNECTIONS + spare;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(()) = open.next() => {}
            stream = listener.accept("an operator"), if has_room => {
                // Under load, idle connections must not take the places of others.
                let then = if open.len() < MOST_CONNECTIONS / 2 { Then::StayOpen } else { Then::Close };
                open.push(serve(stream, Arc::clone(&door), then, stop.clone()).boxed());
            }
        }
    }
    // Removes the socket before the last response, so that no client connects in vain.
    drop(listener);
    while open.next().await.is_some() {}
}

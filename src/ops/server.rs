//! The task that accepts connections at a listener and serves them.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::config::MOST_CONNECTIONS;
use super::connection::{Door, Then, serve};
use crate::listener::Listener;

/// Serves a listener, with so many connections beyond the usual number, until `stop` is cancelled. What is being answered then
/// is still answered.
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
                // Where many come, none may stay without a request.
                let then = if open.len() < MOST_CONNECTIONS / 2 { Then::StayOpen } else { Then::Close };
                open.push(serve(stream, Arc::clone(&door), then, stop.clone()).boxed());
            }
        }
    }
    // The socket goes before the last answer, so that nobody connects in vain.
    drop(listener);
    while open.next().await.is_some() {}
}

//! The open connections, a bounded number: a new one evicts the oldest idle one.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;

use super::connection::{self, Seat};
use super::endpoint::Endpoint;
use crate::listener::Stream;

/// Connections above the maximum that may be open while evicted ones close.
pub(super) const SPARE: usize = 8;

/// The open connections.
pub(super) struct Connections {
    open: FuturesUnordered<BoxFuture<'static, u64>>,
    /// By number, in the order in which they were accepted.
    seats: BTreeMap<u64, Arc<Seat>>,
    next: u64,
    most: usize,
    idle: Arc<Notify>,
}

impl Connections {
    pub fn new(most: usize) -> Self {
        Self { open: FuturesUnordered::new(), seats: BTreeMap::new(), next: 0, most, idle: Arc::default() }
    }

    /// Whether another connection may be accepted.
    pub fn has_room(&self) -> bool {
        let is_over = self.open.len() >= self.most;
        !is_over || (self.open.len() < self.most + SPARE && self.oldest_idle().is_some())
    }

    /// Serves another connection.
    pub fn add(&mut self, stream: Box<dyn Stream>, endpoint: &Arc<Endpoint>) {
        if self.open.len() >= self.most
            && let Some(oldest) = self.oldest_idle()
        {
            oldest.close();
        }
        let (number, seat) = (self.next, Arc::new(Seat::new(Arc::clone(&self.idle))));
        self.next += 1;
        self.seats.insert(number, Arc::clone(&seat));
        self.open.push(connection::serve(stream, Arc::clone(endpoint), seat).map(move |()| number).boxed());
    }

    fn oldest_idle(&self) -> Option<&Arc<Seat>> {
        self.seats.values().find(|seat| seat.is_evictable())
    }

    /// Serves the connections until one ends or becomes idle.
    pub async fn next_change(&mut self) {
        let idle = Arc::clone(&self.idle);
        tokio::select! {
            Some(number) = self.open.next() => drop(self.seats.remove(&number)),
            () = idle.notified() => {}
        }
    }

    /// Closes all connections, each after its current request.
    pub async fn close(mut self) {
        self.seats.values().for_each(|seat| seat.close());
        while self.open.next().await.is_some() {}
    }
}

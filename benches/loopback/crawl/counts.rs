//! What the server sees of one run.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The account of a run, as its connections keep it.
#[derive(Default)]
pub struct Run {
    connections: AtomicU64,
    resumed: AtomicU64,
    reconnects: AtomicU64,
    requests: AtomicU64,
    /// Hosts that have sent a first answer, and the tickets before it.
    with_tickets: Mutex<HashSet<Ipv4Addr>>,
}

/// The account as of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Those whose handshake resumed a TLS session.
    pub resumed: u64,
    /// Those to a host that had given the client a ticket before.
    pub reconnects: u64,
    /// Requests received.
    pub requests: u64,
}

impl Run {
    pub fn accepted(&self, host: Ipv4Addr) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        if self.with_tickets().contains(&host) {
            self.reconnects.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn resumed(&self) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn requested(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The first answer of a connection is on its way, and the tickets before it.
    pub fn has_ticket(&self, host: Ipv4Addr) {
        self.with_tickets().insert(host);
    }

    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: read(&self.connections),
            resumed: read(&self.resumed),
            reconnects: read(&self.reconnects),
            requests: read(&self.requests),
        }
    }

    fn with_tickets(&self) -> MutexGuard<'_, HashSet<Ipv4Addr>> {
        self.with_tickets.lock().expect("the hosts")
    }
}

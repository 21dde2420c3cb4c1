//! What the server sees of one run.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio_rustls::rustls::HandshakeKind;

/// The account of a run, as its connections keep it.
#[derive(Default)]
pub struct Run {
    connections: AtomicU64,
    resumed: AtomicU64,
    reconnects: AtomicU64,
    requests: AtomicU64,
    /// Hosts whose tickets the client has read, or is about to.
    with_tickets: Mutex<HashSet<Ipv4Addr>>,
}

/// The account as of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Those to a host that had given the client a ticket before.
    pub reconnects: u64,
    /// Those of them that resumed a TLS session.
    pub resumed: u64,
    /// Requests received.
    pub requests: u64,
}

impl Run {
    /// Counts a connection; true if its client has a ticket of the host.
    pub fn accepted(&self, host: Ipv4Addr) -> bool {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.with_tickets().contains(&host)
    }

    /// Counts a handshake. A client that resumes a session has a ticket, even if it read that before any answer.
    pub fn shook_hands(&self, has_ticket: bool, kind: Option<HandshakeKind>) {
        let resumed = kind == Some(HandshakeKind::Resumed);
        self.resumed.fetch_add(u64::from(resumed), Ordering::Relaxed);
        self.reconnects.fetch_add(u64::from(has_ticket || resumed), Ordering::Relaxed);
    }

    pub fn requested(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// To be called before the first answer of a connection is written: a client reads tickets on the way to an answer.
    pub fn sent_tickets(&self, host: Ipv4Addr) {
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

//! Counts connections opened, TLS sessions resumed, and requests over a reused connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::handshake::Handshake;
use crate::item::{Durations, REQUEST_TIMES, SharedDurations};

/// Connection counts of a run, over all clients.
#[derive(Debug)]
pub struct ConnectionCounts {
    opened: AtomicU64,
    resumed: AtomicU64,
    full: AtomicU64,
    reused: AtomicU64,
    times: SharedDurations,
}

impl Default for ConnectionCounts {
    fn default() -> Self {
        let (opened, resumed, full, reused) = Default::default();
        Self { opened, resumed, full, reused, times: SharedDurations::new(&REQUEST_TIMES) }
    }
}

impl ConnectionCounts {
    /// Connections opened, with and without TLS or a proxy.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Opened connections that resumed a TLS session.
    pub fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    /// Opened connections with TLS.
    pub fn with_tls(&self) -> u64 {
        self.resumed() + self.full.load(Ordering::Relaxed)
    }

    /// Responses over a connection that was open before the request.
    pub fn reused(&self) -> u64 {
        self.reused.load(Ordering::Relaxed)
    }

    /// The times to open a connection: look-up, TCP, proxy and TLS.
    pub fn times(&self) -> Durations {
        self.times.read()
    }

    pub(super) fn note_opened(&self, handshake: Handshake, time: Duration) {
        self.times.note(time);
        self.opened.fetch_add(1, Ordering::Relaxed);
        match handshake {
            Handshake::None => 0,
            Handshake::Resumed => self.resumed.fetch_add(1, Ordering::Relaxed),
            Handshake::Full => self.full.fetch_add(1, Ordering::Relaxed),
        };
    }

    pub(super) fn note_reused(&self) {
        self.reused.fetch_add(1, Ordering::Relaxed);
    }
}

//! How many connections were opened, how many of them resumed a TLS session, and how many requests went over a kept one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::handshake::Handshake;
use crate::item::{Durations, REQUEST_TIMES, SharedDurations};

/// The connections of a run, those of every client together.
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
    /// Connections that were opened, TLS and proxy included.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Of these, the ones that resumed a TLS session.
    pub fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    /// Of these, the ones that have TLS.
    pub fn with_tls(&self) -> u64 {
        self.resumed() + self.full.load(Ordering::Relaxed)
    }

    /// Answers that came over a connection which was there before the request.
    pub fn reused(&self) -> u64 {
        self.reused.load(Ordering::Relaxed)
    }

    /// How long it took to open them: look-up, TCP, proxy and TLS.
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

//! The store of resumable TLS sessions (RFC 8446, section 2.2; RFC 5077), by host. A resumed session saves the client a
//! certificate verification, and the server a signature.
//!
//! The store of rustls allocates its memory for all hosts at the start, and evicts the oldest host instead of the least
//! recently used one. And each resumed session brings tickets for the next, so that a certificate would never be
//! verified again; this store ends that after [`LIFETIME`].

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::handshake::Handshake;

/// The most tickets of one host. Each opens one connection; servers usually send two in a full handshake.
const TICKETS: usize = 8;

/// How long sessions are resumed after the certificate of the host was verified. After this time an expired or replaced
/// certificate is detected (RFC 8446, section 4.6.1).
const LIFETIME: Duration = Duration::from_secs(3600);

/// The sessions of a bounded number of hosts; the least recently used host is evicted.
pub(super) struct TlsSessions {
    most: usize,
    hosts: Mutex<LruCache<ServerName<'static>, Sessions>>,
}

/// The sessions of one host.
#[derive(Default)]
struct Sessions {
    verified: Option<Instant>,
    key_exchange: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// The newest last.
    tls13: Vec<Tls13ClientSessionValue>,
}

impl TlsSessions {
    /// A store for at most so many hosts.
    pub fn new(most: usize) -> Self {
        Self { most, hosts: Mutex::new(LruCache::unbounded()) }
    }

    fn hosts(&self) -> MutexGuard<'_, LruCache<ServerName<'static>, Sessions>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, host: ServerName<'static>, change: impl FnOnce(&mut Sessions)) {
        let mut hosts = self.hosts();
        change(hosts.get_or_insert_mut(host, Sessions::default));
        if hosts.len() > self.most {
            hosts.pop_lru();
        }
    }
}

impl TlsSessions {
    /// Notes that the certificate of a host has just been verified.
    pub fn note_verified(&self, host: ServerName<'static>) {
        self.change(host, |sessions| sessions.verified = Some(Instant::now()));
    }
}

impl Sessions {
    /// Whether the certificate was verified recently enough.
    fn may_be_resumed(&self) -> bool {
        self.verified.is_some_and(|verified| verified.elapsed() < LIFETIME)
    }
}

impl ClientSessionStore for TlsSessions {
    fn set_kx_hint(&self, host: ServerName<'static>, group: NamedGroup) {
        self.change(host, |sessions| sessions.key_exchange = Some(group));
    }

    fn kx_hint(&self, host: &ServerName<'_>) -> Option<NamedGroup> {
        self.hosts().get(&host.to_owned())?.key_exchange
    }

    fn set_tls12_session(&self, host: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.change(host, |sessions| sessions.tls12 = Some(session));
    }

    fn tls12_session(&self, host: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let session = self.hosts().get(&host.to_owned()).filter(|sessions| sessions.may_be_resumed())?.tls12.clone()?;
        Handshake::Resumed.note();
        Some(session)
    }

    fn remove_tls12_session(&self, host: &ServerName<'static>) {
        if let Some(sessions) = self.hosts().get_mut(host) {
            sessions.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, host: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.change(host, |sessions| {
            if sessions.tls13.len() >= TICKETS {
                sessions.tls13.remove(0);
            }
            sessions.tls13.push(ticket);
        });
    }

    fn take_tls13_ticket(&self, host: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let ticket = self.hosts().get_mut(host).filter(|sessions| sessions.may_be_resumed())?.tls13.pop()?;
        Handshake::Resumed.note();
        Some(ticket)
    }
}

impl fmt::Debug for TlsSessions {
    /// Without the sessions, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSessions").field("most", &self.most).finish_non_exhaustive()
    }
}

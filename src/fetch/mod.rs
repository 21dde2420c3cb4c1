//! Fetching: one attempt on the wire. In: a call. Out: an [`Attempt`], on which the schedule decides.

mod body;
mod body_clock;
#[cfg(test)]
mod body_laws;
mod certificate;
mod certificate_verifier;
mod chunks;
mod client_generation;
mod clients;
mod codec;
mod config;
mod connection_counts;
mod connection_reuse;
mod decode;
mod dns;
mod embedded;
mod failure;
mod guard;
mod gunzip;
mod handshake;
mod head;
mod headers;
mod http;
mod iana_ranges;
mod long_bodies;
mod look_up_counts;
mod pem;
mod quota;
mod reachability;
mod remote_end;
mod tls;
mod tls_sessions;
mod tokens;
mod wire;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use client_generation::{HttpSettings, InUse};
pub use clients::{HostTls, IdentityFiles};
pub use config::{DnsConfig, FetchConfig, NetworkConfig, Oversize, TlsConfig};
pub use connection_counts::ConnectionCounts;
pub use dns::Resolver;
pub use guard::Guard;
pub use headers::{ConfiguredHeaders, HeaderTable};
pub use http::Http;
pub use look_up_counts::{LookUpCounts, LookUpResult};
pub use pem::{ClientCertificate, Unusable, read_authorities, read_identity};
pub use remote_end::RemoteEnds;
pub use tls::Verify;
pub use tokens::{RefreshTokens, Tokens};

use crate::item::{Attempt, Call, Reservation};

/// Makes one attempt at a call.
///
/// An implementer reports what happened and decides nothing: no retry, no redirect, no waiting for anything but the
/// network. It ends within `call.limits`, and a failure after the response's head has that head. It may be dropped at
/// any await (the end of the run). It keeps the body within `reservation`, grows it without waiting, and reports
/// [`Attempt::NoMemory`] when it cannot.
pub trait Fetch: Send + Sync {
    /// One attempt at `call.request`; the body it brings lives in `reservation`.
    fn attempt<'a>(&'a self, call: &'a Call, reservation: Reservation) -> BoxFuture<'a, Attempt>;

    /// The limit of requests at once while a line waits for one of them to end, and `None` while none does. An attempt that
    /// holds one of them for long may end for it.
    fn limit_reached(&self, _limit: Option<usize>) {}

    /// The connections that attempts open, if they open any.
    fn connections(&self) -> Option<Arc<ConnectionCounts>> {
        None
    }

    /// The names that attempts have looked up, if they look any up.
    fn look_ups(&self) -> Option<Arc<LookUpCounts>> {
        None
    }
}

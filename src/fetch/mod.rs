//! Fetching: makes one attempt over the network. In: a call. Out: an [`Attempt`], on which the schedule decides.

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
/// An implementation only reports the result: it does not retry, follow redirects, or wait for anything but the
/// network. It ends within `call.limits`, and a failure after the response head contains that head. It may be dropped
/// at any await (the end of the run). It keeps the body within `reservation`, grows that without waiting, and reports
/// [`Attempt::NoMemory`] if that fails.
pub trait Fetch: Send + Sync {
    /// Makes one attempt at `call.request`; `reservation` accounts for the body's memory.
    fn attempt<'a>(&'a self, call: &'a Call, reservation: Reservation) -> BoxFuture<'a, Attempt>;

    /// Sets the limit of concurrent requests while a line waits for it; `None` if none waits. The fetcher may then end
    /// a long attempt.
    fn limit_reached(&self, _limit: Option<usize>) {}

    /// Counts of the connections that attempts open, if any.
    fn connections(&self) -> Option<Arc<ConnectionCounts>> {
        None
    }

    /// Counts of the names that attempts look up, if any.
    fn look_ups(&self) -> Option<Arc<LookUpCounts>> {
        None
    }
}

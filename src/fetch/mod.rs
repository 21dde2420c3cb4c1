//! Fetching: one attempt on the wire. In comes a job, out goes what happened; the schedule judges it.

mod body;
mod chunks;
mod clients;
mod config;
mod decode;
mod dns;
mod embedded;
mod failure;
mod guard;
mod headers;
mod http;
mod pem;
mod route;
mod special;

use futures::future::BoxFuture;

pub use clients::{HostTls, IdentityFiles, Verify};
pub use config::{DnsConfig, FetchConfig, NetworkConfig, Oversize, TlsConfig};
pub use dns::Resolver;
pub use guard::Guard;
pub use headers::HeaderTable;
pub use http::{Http, HttpSettings, Keep};
pub use pem::{Unusable, read_authorities, read_identity};

use crate::item::{Attempt, Held, Job};

/// Makes one attempt at a job's request.
///
/// An implementer reports what happened and decides nothing: no retry, no redirect, no waiting for anything but the
/// network. It may be dropped at any await (the attempt's time limit, the end of the run). It keeps the body within
/// `held`, grows it without waiting, and reports [`Attempt::NoMemory`] when it cannot.
pub trait Fetch: Send + Sync {
    /// One attempt at `job.request`; the body it brings lives in `held`.
    fn attempt<'a>(&'a self, job: &'a Job, held: Held) -> BoxFuture<'a, Attempt>;
}

//! DNS resolution, restricted to addresses that may be dialled. The client resolves names only through this module.
//!
//! A name is looked up by `lookup.rs`, once for all concurrent requests (`single_flight.rs`), and cached for its TTL
//! (`cache.rs`, `answer.rs`). The guard checks every address at every use, cached or not.
//!
//! Concurrent look-ups have no limit of their own. Each is part of an attempt, and has no more than one socket, before the
//! attempt has one: so `limits.concurrency` bounds them, and a lower limit would only make good names wait for silent ones.

mod answer;
mod cache;
mod lookup;
mod resolv_conf;
mod single_flight;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Resolve, Resolving};

pub use answer::LookupError;

use super::reachability::is_out_of_sockets;
use super::{DnsConfig, Guard, reachability};
use crate::item::{ErrorKind, Sent};
use answer::Answer;
use lookup::Lookup;
use single_flight::SingleFlight;

/// Addresses of one answer that are tried, at most.
const MOST_ADDRESSES: usize = 4;

/// The longest time that a failure is cached: as long as RFC 9520, section 3.2, wants at least.
const LONGEST_FAILURE: Duration = Duration::from_secs(1);

/// The resolver of a run.
#[derive(Clone)]
pub struct Resolver {
    names: Arc<SingleFlight<Answer>>,
    lookup: Arc<Lookup>,
    guard: Arc<Guard>,
    /// How long failures are cached.
    failures: Duration,
    /// The proxy's own host, which the operator has named.
    exempt: Option<Arc<str>>,
}

impl Resolver {
    /// A resolver as configured. Without name servers in the configuration it takes the system's; where the system has
    /// none, only `/etc/hosts` answers.
    ///
    /// `first_retry` is the earliest that a line whose look-up failed comes again. Until then, and for a second at most,
    /// other lines get the same failure: that spares the servers, and no retry is in vain.
    pub fn new(config: &DnsConfig, guard: Arc<Guard>, exempt: Option<&str>, first_retry: Duration) -> Self {
        Self {
            names: SingleFlight::new(config.cache as usize),
            lookup: Arc::new(Lookup::new(config)),
            guard,
            failures: first_retry.min(LONGEST_FAILURE),
            exempt: exempt.map(|host| without_dot(host).into()),
        }
    }

    /// Where a name may be dialled.
    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let name = without_dot(name);
        let (lookup, failures) = (Arc::clone(&self.lookup), self.failures);
        let look_up = |name: Arc<str>| async move {
            let found = lookup.look_up(&name).await;
            let lifetime = found.lifetime(failures);
            (found, lifetime)
        };
        match self.names.find(name, look_up).await {
            Answer::Addresses { addresses, .. } => self.allowed(name, &addresses),
            Answer::NoName { .. } => Err(LookupError::new(ErrorKind::DnsNotFound, "the name does not exist")),
            Answer::NoAddress { .. } => Err(LookupError::new(ErrorKind::DnsNotFound, "the name has no address")),
            Answer::Failed(failure) => Err(failure),
        }
    }

    /// Those of the addresses that may be dialled, and that there is a way to.
    fn allowed(&self, name: &str, addresses: &[IpAddr]) -> Result<Vec<SocketAddr>, LookupError> {
        let mut refusal = LookupError::new(ErrorKind::DnsNotFound, "the name has no address");
        let mut allowed = Vec::new();
        for address in addresses {
            if let Err(forbidden) = self.guard.check(*address)
                && self.exempt.as_deref() != Some(name)
            {
                let message = format!("the name resolves to a forbidden address: {forbidden}");
                refusal = LookupError { kind: ErrorKind::ForbiddenAddress, message, sent: Sent::Refused };
            } else if let Some(no_way) = no_way_to(*address) {
                refusal = no_way;
            } else {
                allowed.push(SocketAddr::new(*address, 0));
            }
        }
        allowed.truncate(MOST_ADDRESSES);
        if allowed.is_empty() { Err(refusal) } else { Ok(allowed) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// A name with a dot at its end is the same one without.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Why an IPv6 address is not worth dialling. Dialled without a way to it, it can fail as if all ports were taken; an
/// IPv4 address cannot.
fn no_way_to(address: IpAddr) -> Option<LookupError> {
    let error = if address.is_ipv6() { reachability::route_to(address).err()? } else { return None };
    let sent = if is_out_of_sockets(&error) { Sent::Starved } else { Sent::Nothing };
    let message = format!("no way to {address} was found: {error}");
    Some(LookupError { kind: ErrorKind::ConnectFailed, message, sent })
}

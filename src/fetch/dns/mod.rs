//! DNS resolution, restricted to allowed addresses. The client resolves names only through this module.
//!
//! `lookup.rs` looks a name up, once for all concurrent requests (`single_flight.rs`); the result is cached for its TTL
//! (`cache.rs`, `answer.rs`). The guard checks every address at every use, cached or not.
//!
//! If `/etc/resolv.conf` or `/etc/hosts` changes during a run (`system_files.rs`), the cache is dropped, and look-ups
//! in flight end by their own time limit.
//!
//! Concurrent look-ups have no separate limit. Each is part of an attempt and closes its sockets before the attempt
//! opens one, so `limits.concurrency` bounds them. A lower limit would make good names wait for silent servers.

mod answer;
mod cache;
mod hosts_file;
mod lookup;
mod resolv_conf;
mod single_flight;
mod system_files;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Resolve, Resolving};
use tokio::time::Instant;

pub use answer::LookupError;

use super::reachability::is_out_of_sockets;
use super::{DnsConfig, Guard, LookUpCounts, reachability};
use crate::item::{ErrorKind, Sent};
use answer::Answer;
use lookup::{Lookup, without_dot};
use single_flight::SingleFlight;
use system_files::SystemFiles;

/// The least and the most addresses of one family that are tried.
const TRIED: (u128, u128) = (4, 16);

/// The least connect time of each address if more than the minimum are tried: hyper-util divides `connect_timeout`
/// equally among the addresses of a family (0.1.21, src/client/legacy/connect/http.rs).
const FOR_EACH: Duration = Duration::from_millis(500);

/// The longest time that a failure is cached, which RFC 9520, section 3.2, requires as the minimum.
const LONGEST_FAILURE: Duration = Duration::from_secs(1);

/// The resolver of a run.
#[derive(Clone)]
pub struct Resolver {
    system: Arc<Mutex<System>>,
    guard: Arc<Guard>,
    /// How long failures are cached.
    failures: Duration,
    /// The most addresses of one family that are tried.
    tried: usize,
    /// The proxy's host, which the guard does not check.
    exempt: Option<Arc<str>>,
    counts: Arc<LookUpCounts>,
}

/// The system's files, and the look-ups and cache that are valid until the files change.
struct System {
    files: SystemFiles,
    known: Known,
    timeout: Duration,
    /// The most names in the cache.
    cache: usize,
}

/// The look-ups of one network: those in flight, and the cached results.
#[derive(Clone)]
struct Known {
    names: Arc<SingleFlight<Answer>>,
    lookup: Arc<Lookup>,
}

impl System {
    fn new(config: &DnsConfig) -> Self {
        let (files, cache) = (SystemFiles::read(config.servers.as_deref()), config.cache as usize);
        let timeout = config.timeout.map_or(Duration::from_secs(5), |span| span.0);
        let lookup = Arc::new(Lookup::new(files.names(), timeout));
        Self { files, known: Known { names: SingleFlight::new(cache), lookup }, timeout, cache }
    }

    /// The look-ups and the cache for the current files.
    fn known(&mut self) -> Known {
        if let Some(names) = self.files.changed() {
            let servers = names.resolv_conf.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::info!(event = "names_changed", %servers, "resolv.conf or the hosts file has changed; the DNS cache is cleared");
            let lookup = Arc::new(Lookup::new(names, self.timeout));
            self.known = Known { names: SingleFlight::new(self.cache), lookup };
        }
        self.known.clone()
    }
}

impl Resolver {
    /// A resolver with the configured name servers, or else the system's. If there are none, only `/etc/hosts` is used.
    ///
    /// `first_retry` is the shortest delay of a retry. A failure is cached for this time, a second at most: that spares
    /// the servers, and no retry gets a cached failure. `connect_timeout` is divided among the addresses of a name.
    pub fn new(
        config: &DnsConfig,
        guard: Arc<Guard>,
        exempt: Option<&str>,
        first_retry: Duration,
        connect_timeout: Duration,
    ) -> Self {
        let (least, most) = TRIED;
        let tried = (connect_timeout.as_millis() / FOR_EACH.as_millis()).clamp(least, most);
        Self {
            system: Arc::new(Mutex::new(System::new(config))),
            guard,
            failures: first_retry.min(LONGEST_FAILURE),
            tried: usize::try_from(tried).unwrap_or(usize::MAX),
            exempt: exempt.map(|host| without_dot(host).into()),
            counts: Arc::default(),
        }
    }

    /// The counts of its look-ups.
    pub(super) fn counts(&self) -> &Arc<LookUpCounts> {
        &self.counts
    }

    /// The same resolver with other counts.
    pub(super) fn counting_in(&self, counts: &Arc<LookUpCounts>) -> Self {
        Self { counts: Arc::clone(counts), ..self.clone() }
    }

    /// The allowed addresses of a name.
    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let Known { names, lookup } = self.system.lock().unwrap_or_else(PoisonError::into_inner).known();
        let (key, failures) = (lookup.key(name), self.failures);
        let (counts, mut is_own) = (Arc::clone(&self.counts), false);
        let look_up = |name: Arc<str>| {
            is_own = true;
            async move {
                let start = Instant::now();
                let found = lookup.look_up(&name).await;
                counts.note(found.result(), start.elapsed());
                let lifetime = found.lifetime(failures);
                (found, lifetime)
            }
        };
        let name = without_dot(name);
        let answer = names.find(key, look_up).await;
        if !is_own {
            self.counts.note_shared();
        }
        match answer {
            Answer::Addresses { addresses, .. } => self.allowed(name, &addresses),
            Answer::NoName { .. } => Err(LookupError::new(ErrorKind::DnsNotFound, "the name does not exist")),
            Answer::NoAddress { .. } => Err(LookupError::new(ErrorKind::DnsNotFound, "the name has no address")),
            Answer::Failed(failure) => Err(failure),
        }
    }

    /// The addresses that are allowed and have a route: the first few of each family.
    fn allowed(&self, name: &str, addresses: &[IpAddr]) -> Result<Vec<SocketAddr>, LookupError> {
        let mut refusal = LookupError::new(ErrorKind::DnsNotFound, "the name has no address");
        let (mut allowed, mut of_family) = (Vec::new(), [0; 2]);
        for address in addresses {
            let of_family = &mut of_family[usize::from(address.is_ipv6())];
            if *of_family == self.tried {
                continue;
            }
            if let Err(forbidden) = self.guard.check(*address)
                && self.exempt.as_deref() != Some(name)
            {
                let message = format!("the name resolves to a forbidden address: {forbidden}");
                refusal = LookupError { kind: ErrorKind::ForbiddenAddress, message, sent: Sent::Refused };
            } else if let Some(no_way) = no_way_to(*address) {
                refusal = no_way;
            } else {
                allowed.push(SocketAddr::new(*address, 0));
                *of_family += 1;
            }
        }
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

/// The error for an IPv6 address without a route. Connecting to it can fail as if all ports were taken; IPv4 cannot.
fn no_way_to(address: IpAddr) -> Option<LookupError> {
    let error = if address.is_ipv6() { reachability::route_to(address).err()? } else { return None };
    let sent = if is_out_of_sockets(&error) { Sent::Starved } else { Sent::Nothing };
    let message = format!("no route to {address} was found: {error}");
    Some(LookupError { kind: ErrorKind::ConnectFailed, message, sent })
}

//! DNS resolution, restricted to addresses that may be dialled. The client resolves names only through this module.
//!
//! A name is looked up by `lookup.rs`, once for all concurrent requests (`single_flight.rs`), and cached for its TTL
//! (`cache.rs`, `answer.rs`). The guard checks every address at every use, cached or not.
//!
//! `/etc/resolv.conf` and `/etc/hosts` may change under a run (`system_files.rs`): then everything that is known goes with
//! the old network, and its look-ups end by their own time limit.
//!
//! Concurrent look-ups have no limit of their own. Each is part of an attempt, and has its sockets before the attempt has
//! one: so `limits.concurrency` bounds them, and a lower limit would only make good names wait for silent ones.

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

/// Addresses of one family that are tried, at least and at most.
const TRIED: (u128, u128) = (4, 16);

/// The time that each of them has to accept a connection, where there are more than the least: hyper-util gives each
/// address of a family the same part of `connect_timeout` (0.1.21, src/client/legacy/connect/http.rs), so the more are
/// tried, the sooner each is given up.
const FOR_EACH: Duration = Duration::from_millis(500);

/// The longest time that a failure is cached: as long as RFC 9520, section 3.2, wants at least.
const LONGEST_FAILURE: Duration = Duration::from_secs(1);

/// The resolver of a run.
#[derive(Clone)]
pub struct Resolver {
    system: Arc<Mutex<System>>,
    guard: Arc<Guard>,
    /// How long failures are cached.
    failures: Duration,
    /// Addresses of one family that are tried.
    tried: usize,
    /// The proxy's own host, which the operator has named.
    exempt: Option<Arc<str>>,
    counts: Arc<LookUpCounts>,
}

/// The system's files, and what is known of names as long as these do not change.
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

    /// What is known in the network that the machine is in now.
    fn known(&mut self) -> Known {
        if let Some(names) = self.files.changed() {
            let servers = names.resolv_conf.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::info!(event = "names_changed", %servers, "resolv.conf or the hosts file has changed; names are looked up anew");
            let lookup = Arc::new(Lookup::new(names, self.timeout));
            self.known = Known { names: SingleFlight::new(self.cache), lookup };
        }
        self.known.clone()
    }
}

impl Resolver {
    /// A resolver as configured. Without name servers in the configuration it takes the system's; where the system has
    /// none, only `/etc/hosts` answers.
    ///
    /// `first_retry` is the earliest that a line whose look-up failed comes again. Until then, and for a second at most,
    /// other lines get the same failure: that spares the servers, and no retry is in vain. `connect_timeout` is what
    /// the addresses of a name share.
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

    /// What came of its look-ups.
    pub(super) fn counts(&self) -> &Arc<LookUpCounts> {
        &self.counts
    }

    /// The same resolver, which counts its look-ups there.
    pub(super) fn counting_in(&self, counts: &Arc<LookUpCounts>) -> Self {
        Self { counts: Arc::clone(counts), ..self.clone() }
    }

    /// Where a name may be dialled.
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

    /// Those of the addresses that may be dialled, and that there is a way to: of each family the first few.
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

/// Why an IPv6 address is not worth dialling. Dialled without a way to it, it can fail as if all ports were taken; an
/// IPv4 address cannot.
fn no_way_to(address: IpAddr) -> Option<LookupError> {
    let error = if address.is_ipv6() { reachability::route_to(address).err()? } else { return None };
    let sent = if is_out_of_sockets(&error) { Sent::Starved } else { Sent::Nothing };
    let message = format!("no way to {address} was found: {error}");
    Some(LookupError { kind: ErrorKind::ConnectFailed, message, sent })
}

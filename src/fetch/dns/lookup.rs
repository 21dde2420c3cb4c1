//! One look-up: resolves a name from the hosts file or the name servers within `dns.timeout`.
//!
//! It uses Hickory's UDP and TCP clients, not its resolver, which has its own cache, repeats queries after final
//! answers, and sends several at once. Here each query has one socket; a second one is sent only for the other family,
//! or when the first has had no answer for long; and no query outlives its waiters.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{FuturesUnordered, StreamExt};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{Answer, LookupError, interleave, read};
use super::system_files::SystemNames;
use crate::fetch::reachability::{self, is_out_of_sockets};
use crate::item::{ErrorKind, Sent};

/// How often a query is sent while no answer arrives, or once to each server if there are more (RFC 9520, section 3.1,
/// allows three times).
const TRIES: usize = 3;

/// The longest time without an answer before the next server is queried.
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);

/// How long a look-up with IPv4 addresses waits for IPv6 ones (RFC 8305, section 3): some servers never answer queries
/// of unknown types.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long a look-up with IPv6 addresses waits for IPv4 ones, because IPv6 may be unreachable.
const LONGEST_V4: Duration = Duration::from_millis(2500);

/// Looks up names with one set of servers and one hosts file.
pub(super) struct Lookup {
    system: SystemNames,
    /// The server that is queried first: the last one that answered.
    first: AtomicUsize,
    timeout: Duration,
}

impl Lookup {
    /// A look-up with these servers and this hosts file.
    pub fn new(system: SystemNames, timeout: Duration) -> Self {
        Self { system, first: AtomicUsize::new(0), timeout }
    }

    /// The name's key in the cache. A trailing dot is kept only if search domains apply to the name without it.
    pub fn key<'a>(&self, name: &'a str) -> &'a str {
        let bare = without_dot(name);
        if self.system.resolv_conf.completes(bare.matches('.').count()) { name } else { bare }
    }

    /// Looks a name up.
    pub async fn look_up(&self, name: &str) -> Answer {
        let bare = without_dot(name);
        // hickory's `Name::from_ascii` rejects some valid labels (RFC 2181, section 11), such as `-b` (hickory-proto
        // 0.26.3, src/rr/domain/label.rs).
        let Ok(mut asked) = Name::from_labels(bare.split('.').map(str::as_bytes)) else {
            let message = "the name is not valid in DNS: it or a label is too long, or a label is empty";
            return Answer::Failed(LookupError::new(ErrorKind::DnsNotFound, message));
        };
        asked.set_fqdn(bare != name);
        if let Some(found) = self.known_here(bare) {
            return found;
        }
        self.search(&asked, Instant::now() + self.timeout).await
    }

    /// The answer from the hosts file or for a special name (RFC 6761, sections 6.3 and 6.4; RFC 7686, section 2).
    fn known_here(&self, name: &str) -> Option<Answer> {
        const LONG: Duration = Duration::MAX;
        let listed = self.system.hosts.addresses(name);
        if !listed.is_empty() {
            return Some(Answer::Addresses { addresses: interleave(listed), ttl: LONG });
        }
        match name.rsplit('.').next()? {
            "localhost" => {
                Some(Answer::Addresses { addresses: Arc::new([IpAddr::V4(Ipv4Addr::LOCALHOST)]), ttl: LONG })
            }
            "invalid" | "onion" => Some(Answer::NoName { ttl: Some(LONG) }),
            _ => None,
        }
    }

    /// Tries the name with each search domain until one has an address. A failure ends the search, so that no other
    /// name is used because a server failed for a moment.
    async fn search(&self, name: &Name, until: Instant) -> Answer {
        let mut missing = Answer::NoName { ttl: Some(Duration::MAX) };
        for candidate in self.system.resolv_conf.names(name) {
            missing = match self.addresses(&candidate, until).await {
                found @ (Answer::Addresses { .. } | Answer::Failed(_)) => return found,
                none => neither(&missing, &none),
            };
        }
        missing
    }

    /// Resolves addresses of both families. A machine without global IPv6 queries IPv6 only if there is no IPv4 address
    /// or no route to one.
    async fn addresses(&self, name: &Name, until: Instant) -> Answer {
        if reachability::has_ipv6() {
            return self.both_families(name, until).await;
        }
        let v4 = self.ask(name, RecordType::A, until).await;
        match v4 {
            Answer::NoAddress { .. } => match self.ask(name, RecordType::AAAA, until).await {
                none @ Answer::NoAddress { .. } => neither(&v4, &none),
                v6 => v6,
            },
            Answer::Addresses { .. } if !has_way(&v4) => {
                let v6 = self.ask(name, RecordType::AAAA, until).await;
                if has_way(&v6) { v6 } else { v4 }
            }
            _ => v4,
        }
    }

    /// Queries both families at once (RFC 8305, section 3). A family without an answer delays the other for a limited
    /// time.
    async fn both_families(&self, name: &Name, until: Instant) -> Answer {
        let (v4, v6) = (pin!(self.ask(name, RecordType::A, until)), pin!(self.ask(name, RecordType::AAAA, until)));
        match select(v4, v6).await {
            Either::Left((v4 @ Answer::NoName { .. }, _)) => v4,
            Either::Left((v4 @ Answer::Addresses { .. }, v6)) => match timeout(RESOLUTION_DELAY, v6).await {
                Ok(v6) => merge(v4, v6),
                Err(_) => v4,
            },
            Either::Left((v4, v6)) => merge(v4, v6.await),
            Either::Right((v6 @ Answer::Addresses { .. }, v4)) => {
                match timeout(LONGEST_V4.min(self.timeout / 2), v4).await {
                    Ok(v4) => merge(v4, v6),
                    Err(_) => v6,
                }
            }
            Either::Right((v6, v4)) => merge(v4.await, v6),
        }
    }

    /// Queries the servers in turn until one answers, silent ones again while tries are left. Earlier queries stay
    /// open, so the late answer of a slow server counts. A server that has failed is not queried again.
    async fn ask(&self, name: &Name, kind: RecordType, until: Instant) -> Answer {
        let servers = self.system.resolv_conf.servers.len();
        if servers == 0 {
            let message = "no name server is known; set dns.servers";
            return Answer::Failed(LookupError::new(ErrorKind::DnsFailed, message));
        }
        let tries = servers.max(TRIES);
        let pause = (self.timeout / u32::try_from(tries).unwrap_or(u32::MAX)).min(LONGEST_PAUSE);
        let mut turns = (0..servers).cycle().skip(self.first.load(Ordering::Relaxed)).take(tries);
        let (mut open, mut failed, mut failure) = (FuturesUnordered::new(), HashSet::new(), None);
        while failed.len() < servers {
            let turn = turns.find(|server| !failed.contains(server));
            open.extend(turn.map(|server| self.question(server, name, kind, until)));
            let wait = if turn.is_some() { until.min(Instant::now() + pause) } else { until };
            match timeout_at(wait, open.next()).await {
                Err(_) if wait < until => {}
                Err(_) | Ok(None) => break,
                Ok(Some((_, Answer::Failed(lack)))) if lack.sent == Sent::Starved => {
                    if open.is_empty() {
                        return Answer::Failed(lack);
                    }
                }
                Ok(Some((server, Answer::Failed(its_failure)))) => {
                    failed.insert(server);
                    failure = failure.or(Some(its_failure));
                }
                Ok(Some((server, found))) => {
                    self.first.store(server, Ordering::Relaxed);
                    return found;
                }
            }
        }
        Answer::Failed(failure.unwrap_or_else(|| self.no_answer()))
    }

    /// Sends one query to one server; returns the server and its answer.
    async fn question(&self, server: usize, name: &Name, kind: RecordType, until: Instant) -> (usize, Answer) {
        let answer = match query(self.system.resolv_conf.servers[server], name, kind, until).await {
            Ok(answer) => read(&answer, name, kind),
            Err(NetError::Timeout) => Answer::Failed(self.no_answer()),
            Err(error) => Answer::Failed(explain(&error)),
        };
        (server, answer)
    }

    fn no_answer(&self) -> LookupError {
        LookupError::new(
            ErrorKind::DnsTimeout,
            format!("no DNS answer within {:.3} s (dns.timeout)", self.timeout.as_secs_f64()),
        )
    }
}

/// Whether this machine has a route to one of the addresses.
fn has_way(found: &Answer) -> bool {
    matches!(found, Answer::Addresses { addresses, .. } if addresses.iter().any(|address| reachability::route_to(*address).is_ok()))
}

/// Combines the answers for both families of a name.
fn merge(v4: Answer, v6: Answer) -> Answer {
    match (v4, v6) {
        (Answer::Addresses { addresses: v4, ttl }, Answer::Addresses { addresses: v6, ttl: its_ttl }) => {
            Answer::Addresses { addresses: interleave(&[&*v6, &*v4].concat()), ttl: ttl.min(its_ttl) }
        }
        (found @ Answer::Addresses { .. }, _) | (_, found @ Answer::Addresses { .. }) => found,
        (missing @ Answer::NoName { .. }, _) => missing,
        // A negative answer for one family does not hide the failure of the other.
        (failed @ Answer::Failed(_), _) | (_, failed @ Answer::Failed(_)) => failed,
        (v4, v6) => neither(&v4, &v6),
    }
}

/// The name without a trailing dot.
pub(super) fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Combines two negative answers, for two names or two families; the shorter TTL counts.
fn neither(one: &Answer, other: &Answer) -> Answer {
    let ttl_of = |found: &Answer| match found {
        Answer::NoName { ttl } | Answer::NoAddress { ttl } => *ttl,
        Answer::Addresses { ttl, .. } => Some(*ttl),
        Answer::Failed(_) => None,
    };
    let ttl = ttl_of(one).min(ttl_of(other));
    match other {
        Answer::NoName { .. } => Answer::NoName { ttl },
        _ => Answer::NoAddress { ttl },
    }
}

/// Queries one server over UDP, and over TCP if the answer is truncated (RFC 7766, section 5).
async fn query(server: SocketAddr, name: &Name, kind: RecordType, until: Instant) -> Result<DnsResponse, NetError> {
    let limit = until.saturating_duration_since(Instant::now());
    // The runtime's one task, for TCP, ends with the runtime.
    let runtime = TokioRuntimeProvider::new();
    let mut options = DnsRequestOptions::default();
    // Some routers in homes and hotels do not support EDNS, and the answers are short.
    options.use_edns = false;
    let request = DnsRequest::from_query(Query::query(name.clone(), kind), options);
    let answer = {
        // Retries in the client would open several sockets at once.
        let udp = UdpClientStream::builder(server, runtime.clone()).with_timeout(Some(limit)).with_max_retries(1);
        udp.build().send_message(request.clone()).first_answer().await?
    };
    if !answer.truncation {
        return Ok(answer);
    }
    let tcp = TcpClientStream::exchange(server, None, limit, None, runtime.clone()).await?;
    tcp.send(request).first_answer().await
}

/// The failure for a network error of a query.
fn explain(error: &NetError) -> LookupError {
    let sent = match error {
        // Hickory tries several random UDP ports; if all are taken, this machine lacks ports.
        NetError::Io(error) if is_out_of_sockets(error) || error.kind() == io::ErrorKind::AddrInUse => Sent::Starved,
        _ => Sent::Nothing,
    };
    LookupError { sent, ..LookupError::new(ErrorKind::DnsFailed, format!("the look-up failed: {error}")) }
}

//! One look-up: a name in, what the hosts file or the name servers say of it out, within `dns.timeout`.
//!
//! Hickory's UDP and TCP clients are used, and not its resolver: that one has a cache of its own, asks again after
//! answers that will not change, and asks several times at once. Here each question is one socket, and nothing runs
//! that nobody waits for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::timeout;

use super::answer::{Answer, LookupError, read};
use super::resolv_conf::ResolvConf;
use crate::fetch::reachability::is_out_of_sockets;
use crate::fetch::{DnsConfig, reachability};
use crate::item::{ErrorKind, Sent};

/// How often a question is asked while nothing comes back, and more often only if there are more servers (RFC 9520,
/// section 3.1, allows three times).
const TRIES: usize = 3;

/// Looks names up.
pub(super) struct Lookup {
    system: ResolvConf,
    hosts: Hosts,
    /// Which server is asked first: the one that answered last.
    first: AtomicUsize,
    timeout: Duration,
}

impl Lookup {
    /// As configured; without name servers in the configuration it takes the system's.
    pub fn new(config: &DnsConfig) -> Self {
        Self {
            system: ResolvConf::of(config.servers.as_deref()),
            hosts: Hosts::from_system().unwrap_or_default(),
            first: AtomicUsize::new(0),
            timeout: config.timeout.map_or(Duration::from_secs(5), |span| span.0),
        }
    }

    /// Looks a name up, which has no dot at its end.
    pub async fn look_up(&self, name: &str) -> Answer {
        // The URL's parser has made it ASCII; read as such, an underscore is a character like any other.
        let Ok(relative) = Name::from_ascii(name) else {
            let message = "the name is one that DNS cannot have: it is too long, or has an empty or impossible label";
            return Answer::Failed(LookupError::new(ErrorKind::DnsNotFound, message));
        };
        if let Some(found) = self.known_here(&relative) {
            return found;
        }
        let searched = timeout(self.timeout, self.search(&relative)).await;
        searched.unwrap_or_else(|_| Answer::Failed(self.no_answer()))
    }

    /// What the hosts file says, and what needs no asking (RFC 6761, sections 6.3 and 6.4; RFC 7686, section 2).
    fn known_here(&self, name: &Name) -> Option<Answer> {
        const LONG: Duration = Duration::MAX;
        let listed = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        if let Some(listed) = listed(RecordType::A).or_else(|| listed(RecordType::AAAA)) {
            let addresses = listed.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
            return Some(Answer::Addresses { addresses, ttl: LONG });
        }
        match name.iter().next_back()? {
            b"localhost" => {
                Some(Answer::Addresses { addresses: Arc::new([IpAddr::V4(Ipv4Addr::LOCALHOST)]), ttl: LONG })
            }
            b"invalid" | b"onion" => Some(Answer::NoName { ttl: Some(LONG) }),
            _ => None,
        }
    }

    /// The first of the names that this one may stand for that has an address. A failure ends the search: another name
    /// must not be taken for this one because a server had a bad moment.
    async fn search(&self, name: &Name) -> Answer {
        let mut missing = Answer::NoName { ttl: Some(Duration::MAX) };
        for candidate in self.system.names(name) {
            missing = match self.addresses(&candidate).await {
                found @ (Answer::Addresses { .. } | Answer::Failed(_)) => return found,
                none => neither(&missing, &none),
            };
        }
        missing
    }

    /// Addresses of one family: IPv6 is asked for when there is no IPv4 address, or no way to one, as on a machine that
    /// has IPv6 alone. When the first question failed, an answer to the other would hide it.
    async fn addresses(&self, name: &Name) -> Answer {
        let v4 = self.ask(name, RecordType::A).await;
        match v4 {
            Answer::NoAddress { .. } => match self.ask(name, RecordType::AAAA).await {
                none @ Answer::NoAddress { .. } => neither(&v4, &none),
                v6 => v6,
            },
            Answer::Addresses { .. } if !has_way(&v4) => {
                let v6 = self.ask(name, RecordType::AAAA).await;
                if has_way(&v6) { v6 } else { v4 }
            }
            _ => v4,
        }
    }

    /// Asks the servers one after the other until one knows. Who has answered is not asked again; who has not is,
    /// as long as there are tries.
    async fn ask(&self, name: &Name, kind: RecordType) -> Answer {
        let servers = &self.system.servers;
        let tries = servers.len().max(TRIES);
        let limit = self.timeout / u32::try_from(tries).unwrap_or(u32::MAX);
        let turns = (0..servers.len()).cycle().skip(self.first.load(Ordering::Relaxed)).take(tries);
        let mut found =
            Answer::Failed(LookupError::new(ErrorKind::DnsFailed, "no name server is known; set dns.servers"));
        for (turn, server) in turns.enumerate() {
            found = match timeout(limit, query(servers[server], name, kind, limit)).await {
                Ok(Ok(answer)) => read(&answer, name, kind),
                Err(_) | Ok(Err(NetError::Timeout)) => Answer::Failed(self.no_answer()),
                Ok(Err(error)) => Answer::Failed(explain(&error)),
            };
            let Answer::Failed(failure) = &found else {
                self.first.store(server, Ordering::Relaxed);
                return found;
            };
            let all_were_asked = turn + 1 >= servers.len();
            if failure.sent == Sent::Starved || (failure.kind != ErrorKind::DnsTimeout && all_were_asked) {
                return found;
            }
        }
        found
    }

    fn no_answer(&self) -> LookupError {
        LookupError::new(
            ErrorKind::DnsTimeout,
            format!("no answer from DNS within {:.3} s", self.timeout.as_secs_f64()),
        )
    }
}

/// Whether this machine has a way to one of the addresses.
fn has_way(found: &Answer) -> bool {
    matches!(found, Answer::Addresses { addresses, .. } if addresses.iter().any(|address| reachability::route_to(*address).is_ok()))
}

/// Of two names, or kinds of address, neither is there; cached for the shorter TTL of the two.
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

/// One question to one server: over UDP, and over TCP when the answer does not fit (RFC 7766, section 5).
async fn query(server: SocketAddr, name: &Name, kind: RecordType, limit: Duration) -> Result<DnsResponse, NetError> {
    // Its one task, for TCP, ends with it.
    let runtime = TokioRuntimeProvider::new();
    let mut options = DnsRequestOptions::default();
    // Some servers in homes and hotels know nothing of EDNS, and what is asked for here is short.
    options.use_edns = false;
    let request = DnsRequest::from_query(Query::query(name.clone(), kind), options);
    let answer = {
        // More than one try of its own would be more than one socket at once.
        let udp = UdpClientStream::builder(server, runtime.clone()).with_timeout(Some(limit)).with_max_retries(1);
        udp.build().send_message(request.clone()).first_answer().await?
    };
    if !answer.truncation {
        return Ok(answer);
    }
    let tcp = TcpClientStream::exchange(server, None, limit, None, runtime.clone()).await?;
    tcp.send(request).first_answer().await
}

/// Why there was no answer.
fn explain(error: &NetError) -> LookupError {
    let sent = match error {
        // The UDP port is drawn, several times over, so that all of them were taken is a lack of ports.
        NetError::Io(error) if is_out_of_sockets(error) || error.kind() == io::ErrorKind::AddrInUse => Sent::Starved,
        _ => Sent::Nothing,
    };
    LookupError { sent, ..LookupError::new(ErrorKind::DnsFailed, format!("the look-up failed: {error}")) }
}

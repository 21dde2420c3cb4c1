//! Names to addresses, and only to those that may be dialled. The client has no other way to an address by name.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use reqwest::dns::{Addrs, Resolve, Resolving};

use super::guard::Forbidden;
use super::{DnsConfig, Guard};
use crate::error::BoxError;
use crate::item::Kind;

/// Addresses of one answer that are tried, at most.
const MOST_ADDRESSES: usize = 4;

/// Why a name has no address that may be dialled. It travels through the client's errors and is found there again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unresolved {
    /// Its row in the table.
    pub kind: Kind,
    /// A sentence for the record.
    pub message: String,
}

/// The resolver of a run.
#[derive(Clone)]
pub struct Resolver {
    v4: Arc<TokioResolver>,
    v6: Arc<TokioResolver>,
    guard: Arc<Guard>,
    timeout: Duration,
    /// The proxy's own host, which the operator has named.
    exempt: Option<Arc<str>>,
}

impl Resolver {
    /// A resolver as configured. Without name servers in the configuration it takes the system's; where the system has
    /// none, only `/etc/hosts` answers.
    ///
    /// # Errors
    /// When the resolver cannot be set up.
    pub fn new(config: &DnsConfig, guard: Arc<Guard>, exempt: Option<&str>) -> Result<Self, BoxError> {
        let timeout = config.timeout.map_or(Duration::from_secs(5), |span| span.0);
        let only = |strategy| {
            let mut builder = builder(config);
            let options = builder.options_mut();
            options.ip_strategy = strategy;
            // Two tries fit into the time of one look-up.
            (options.timeout, options.attempts) = (timeout / 2, 1);
            builder.build().map(Arc::new)
        };
        let (v4, v6) = (only(LookupIpStrategy::Ipv4Only)?, only(LookupIpStrategy::Ipv6Only)?);
        Ok(Self { v4, v6, guard, timeout, exempt: exempt.map(Into::into) })
    }

    /// IPv4 first. IPv6 is asked for only when the name has no IPv4 address: when that question failed, an answer to the
    /// other one would hide it.
    async fn addresses(&self, name: &str) -> Result<LookupIp, NetError> {
        // The URL's parser has made it ASCII; read as such, an underscore is a character like any other.
        let name = Name::from_ascii(name)?;
        match self.v4.lookup_ip(name.clone()).await {
            Err(error) if error.is_no_records_found() && !error.is_nx_domain() => self.v6.lookup_ip(name).await,
            answer => answer,
        }
    }

    async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, Unresolved> {
        let answer = match tokio::time::timeout(self.timeout, self.addresses(name)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(explain(&error)),
            Err(_) => {
                let message = format!("no answer from DNS within {:.3} s", self.timeout.as_secs_f64());
                return Err(Unresolved { kind: Kind::DnsTimeout, message });
            }
        };
        let mut refused: Option<Forbidden> = None;
        let mut allowed = Vec::new();
        for address in answer.iter() {
            match self.guard.check(address) {
                Err(forbidden) if self.exempt.as_deref() != Some(name) => refused = Some(forbidden),
                _ => allowed.push(SocketAddr::new(address, 0)),
            }
        }
        allowed.truncate(MOST_ADDRESSES);
        match refused {
            Some(forbidden) if allowed.is_empty() => {
                let message = format!("the name resolves to a forbidden address: {forbidden}");
                Err(Unresolved { kind: Kind::ForbiddenAddress, message })
            }
            _ if allowed.is_empty() => {
                Err(Unresolved { kind: Kind::DnsNotFound, message: "the name has no address".to_owned() })
            }
            _ => Ok(allowed),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.look_up(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The name servers of the configuration, or the system's, with its search domains.
fn builder(config: &DnsConfig) -> ResolverBuilder<TokioRuntimeProvider> {
    let provider = TokioRuntimeProvider::default();
    let of = |servers| TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider.clone());
    match &config.servers {
        Some(servers) => of(servers.iter().map(name_server).collect()),
        None => TokioResolver::builder(provider.clone()).unwrap_or_else(|error| {
            tracing::warn!(%error, "the system names no DNS servers; set dns.servers to look names up");
            of(Vec::new())
        }),
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn explain(error: &NetError) -> Unresolved {
    if matches!(error, NetError::Proto(_)) {
        let message = "the name is one that DNS cannot have: it is too long, or has an empty or impossible label";
        return Unresolved { kind: Kind::DnsNotFound, message: message.to_owned() };
    }
    if error.is_nx_domain() || error.is_no_records_found() {
        return Unresolved {
            kind: Kind::DnsNotFound,
            message: "the name does not exist, or has no address".to_owned(),
        };
    }
    let timed_out = matches!(error, NetError::Timeout)
        || error
            .source()
            .and_then(|e| e.downcast_ref::<io::Error>())
            .is_some_and(|e| e.kind() == io::ErrorKind::TimedOut);
    let kind = if timed_out { Kind::DnsTimeout } else { Kind::DnsFailed };
    Unresolved { kind, message: format!("the look-up failed: {error}") }
}

//! A generation of clients with their connection pools. Fetchers share it until a reload changes the settings of
//! connections; then fetchd builds a new one.

use std::sync::{Arc, Weak};

use url::{Position, Url};

use super::clients::{Clients, Recipe};
use super::connection_counts::ConnectionCounts;
use super::tls::Tls;
use super::{FetchConfig, Guard, HeaderTable, HostTls, Resolver, TlsConfig};
use crate::error::BoxError;
use crate::hosts::HostPattern;
use crate::item::Needs;

/// The settings of the fetcher besides `[fetch]`.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The headers of requests.
    pub headers: HeaderTable,
    /// `[tls]`
    pub tls: TlsConfig,
    /// The TLS settings of `[hosts]`.
    pub hosts: Vec<(HostPattern, HostTls)>,
    /// The parts of responses that the sinks need.
    pub needs: Needs,
    /// The most idle connections of one host.
    pub idle_per_host: usize,
    /// The most hosts whose TLS sessions are kept.
    pub session_hosts: usize,
}

/// The clients, the address guard and the proxy that fetchers share.
pub(super) struct ClientGeneration {
    pub clients: Clients,
    pub guard: Arc<Guard>,
    /// The proxy's host and port, without its credentials.
    pub proxy: Option<String>,
}

/// Shows whether the connections of a fetcher are still in use.
#[derive(Clone)]
pub struct InUse(Weak<ClientGeneration>);

impl InUse {
    pub(super) fn of(generation: &Arc<ClientGeneration>) -> Self {
        Self(Arc::downgrade(generation))
    }

    /// Whether any fetcher or request still uses them.
    pub fn holds(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl ClientGeneration {
    /// Builds the clients.
    ///
    /// # Errors
    /// When the proxy's URL is invalid, a certificate file cannot be used, or TLS cannot be set up.
    pub fn new(
        config: &FetchConfig,
        settings: &HttpSettings,
        guard: Arc<Guard>,
        resolver: &Resolver,
        counts: &Arc<ConnectionCounts>,
    ) -> Result<Self, BoxError> {
        let tls = Tls::new(config, &settings.tls, settings.session_hosts)?;
        let recipe = Recipe { fetch: config, tls, idle_per_host: settings.idle_per_host, resolver, counts };
        let clients = Clients::new(&recipe, settings.hosts.clone())?;
        let proxy = config.proxy.as_ref().map(|proxy| Url::parse(proxy.expose())).transpose()?;
        let proxy = proxy.map(|url| url[Position::BeforeHost..Position::AfterPort].to_owned());
        Ok(Self { clients, guard, proxy })
    }
}

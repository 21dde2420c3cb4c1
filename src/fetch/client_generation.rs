//! A generation of clients: what takes time to build, and keeps connections. Fetchers share one for as long as hosts are reached
//! in the same way; a reload that changes that begins another.

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
    /// What `[hosts]` says of TLS.
    pub hosts: Vec<(HostPattern, HostTls)>,
    /// What of responses is kept.
    pub needs: Needs,
    /// The most idle connections that one host can have.
    pub idle_per_host: usize,
    /// TLS sessions are kept of so many hosts.
    pub session_hosts: usize,
}

/// See the module.
pub(super) struct ClientGeneration {
    pub clients: Clients,
    pub guard: Arc<Guard>,
    /// Where requests go instead of to their hosts; shown without its credentials.
    pub proxy: Option<String>,
}

/// Tells whether anything still uses the connections of a fetcher.
#[derive(Clone)]
pub struct InUse(Weak<ClientGeneration>);

impl InUse {
    pub(super) fn of(generation: &Arc<ClientGeneration>) -> Self {
        Self(Arc::downgrade(generation))
    }

    /// Whether it does.
    pub fn holds(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl ClientGeneration {
    /// Builds them.
    ///
    /// # Errors
    /// When the proxy's URL is none, a file of certificates cannot be used, or TLS cannot be set up.
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

//! HTTP clients for single remote ends that the configuration names, such as the receiver of a webhook. They obey
//! `[tls]` and `[dns]`. The guard allows the exact host, like the proxy of `[fetch]`; the clients follow no redirects.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::clients::Recipe;
use super::tls::Tls;
use super::{DnsConfig, FetchConfig, Guard, Resolver, TlsConfig};
use crate::error::BoxError;
use crate::units::Secret;

/// Builds clients for remote ends.
#[derive(Clone, Debug)]
pub struct RemoteEnds {
    /// `[fetch]`, of which only `connect_timeout` is used.
    pub fetch: FetchConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[dns]`
    pub dns: DnsConfig,
    /// Checks the addresses of all other names.
    pub guard: Arc<Guard>,
}

impl RemoteEnds {
    /// A client for this URL, through this proxy if any. It keeps one connection.
    ///
    /// # Errors
    /// When a certificate file cannot be used, or the proxy's URL is invalid.
    pub fn client(&self, url: &Url, proxy: Option<&Secret<String>>) -> Result<reqwest::Client, BoxError> {
        let proxy_url = proxy.map(|proxy| Url::parse(proxy.expose())).transpose()?;
        let dialled = proxy_url.as_ref().unwrap_or(url).host_str();
        let fetch = FetchConfig { proxy: proxy.cloned(), http2: false, ..self.fetch.clone() };
        let connect_timeout = fetch.connect_timeout.0;
        // Failed look-ups are cached for less than the second until the first retry.
        let resolver =
            Resolver::new(&self.dns, Arc::clone(&self.guard), dialled, Duration::from_millis(500), connect_timeout);
        let recipe = Recipe {
            tls: Tls::new(&fetch, &self.tls, 1)?,
            fetch: &fetch,
            idle_per_host: 1,
            resolver: &resolver,
            // These connections are not counted among those of lines.
            counts: &Arc::default(),
        };
        recipe.remote_end()
    }
}

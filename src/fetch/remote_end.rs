//! The client of one remote end that the configuration names, such as the receiver of a webhook. It obeys `[tls]` and `[dns]`; the
//! guard lets it through by its exact host, as it does the proxy of `[fetch]`, and it goes nowhere else: it follows no redirect.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::clients::Recipe;
use super::tls::Tls;
use super::{DnsConfig, FetchConfig, Guard, Resolver, TlsConfig};
use crate::error::BoxError;
use crate::units::Secret;

/// Makes such clients.
#[derive(Clone, Debug)]
pub struct RemoteEnds {
    /// `[fetch]`, of which only `connect_timeout` counts.
    pub fetch: FetchConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[dns]`
    pub dns: DnsConfig,
    /// Which addresses may be dialled by any other name.
    pub guard: Arc<Guard>,
}

impl RemoteEnds {
    /// The client for this URL, through this proxy if there is one. It keeps one connection.
    ///
    /// # Errors
    /// When a file of certificates cannot be used, or the proxy is none.
    pub fn client(&self, url: &Url, proxy: Option<&Secret<String>>) -> Result<reqwest::Client, BoxError> {
        let proxy_url = proxy.map(|proxy| Url::parse(proxy.expose())).transpose()?;
        let dialled = proxy_url.as_ref().unwrap_or(url).host_str();
        let fetch = FetchConfig { proxy: proxy.cloned(), http2: false, ..self.fetch.clone() };
        let connect_timeout = fetch.connect_timeout.0;
        // A failed look-up is not asked for again within the second that the first repetition takes.
        let resolver =
            Resolver::new(&self.dns, Arc::clone(&self.guard), dialled, Duration::from_millis(500), connect_timeout);
        let recipe = Recipe {
            tls: Tls::new(&fetch, &self.tls, 1)?,
            fetch: &fetch,
            idle_per_host: 1,
            resolver: &resolver,
            // They are no connections of lines.
            counts: &Arc::default(),
        };
        recipe.remote_end()
    }
}

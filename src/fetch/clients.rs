//! The HTTP clients of a run: one pair for each TLS configuration, built at the start and chosen by host. The host of
//! each request decides whether certificates are verified; a client certificate is a credential, sent only to the host
//! of the line's own URL.

use std::path::PathBuf;
use std::sync::Arc;

use super::connection_counts::ConnectionCounts;
use super::connection_reuse::NoteOpened;
use super::pem::{ClientCertificate, read_identity};
use super::tls::{Tls, Verify};
use super::{FetchConfig, Resolver};
use crate::error::BoxError;
use crate::hosts::{HostPattern, Patterns, host_name, port_of};
use crate::item::{Call, Connection, CredentialScope, POOL_IDLE_TIMEOUT};
use crate::units::Secret;

/// The HTTP/2 flow-control windows in bytes: of one body, and of a connection.
const HTTP2_WINDOWS: (u32, u32) = (256 << 10, 1 << 20);

/// The most header lines of a response head.
const MOST_HEADERS: usize = 1000;

/// The most header lines of a head on a pooled connection. The parser allocates a table of this size for each head;
/// beyond 14 KiB that costs more than the rest of parsing. A longer head is requested again ([`Sent::LongHead`]).
///
/// [`Sent::LongHead`]: crate::item::Sent::LongHead
const MOST_HEADERS_KEPT: usize = 400;

/// The TLS keys of one `[hosts."PATTERN"]`. Missing keys fall back to the next pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTls {
    /// Whether certificates are verified.
    pub verify: Option<Verify>,
    /// The client certificate for servers that request one.
    pub identity: Option<IdentityFiles>,
}

/// The PEM files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate and its intermediates.
    pub cert: PathBuf,
    /// The private key.
    pub key: Secret<PathBuf>,
}

/// The clients of a run, by host.
#[derive(Debug)]
pub(super) struct Clients {
    hosts: Patterns<HostTls>,
    /// Verifies server certificates and has no client certificate.
    usual: Pair,
    /// Every other TLS configuration that `[hosts]` can require.
    others: Vec<Pair>,
}

/// The clients for one TLS configuration.
#[derive(Debug)]
struct Pair {
    verify: Verify,
    identity: Option<IdentityFiles>,
    /// For requests that may use a pooled connection.
    keep: reqwest::Client,
    /// For requests that need a new connection: it has no pool.
    close: reqwest::Client,
}

impl Clients {
    /// Builds the clients for every TLS configuration that the hosts can require.
    ///
    /// # Errors
    /// When a certificate file cannot be used, or the proxy's URL is invalid.
    pub fn new(recipe: &Recipe<'_>, hosts: Vec<(HostPattern, HostTls)>) -> Result<Self, BoxError> {
        let insecure = hosts.iter().any(|(_, host)| host.verify == Some(Verify::No));
        let ways = if insecure { [Verify::Yes, Verify::No].as_slice() } else { &[Verify::Yes] };
        let usual = recipe.pair(Verify::Yes, None)?;
        let mut others = Vec::new();
        if insecure {
            others.push(recipe.pair(Verify::No, None)?);
        }
        for identity in &identities(&hosts)? {
            for verify in ways {
                others.push(recipe.pair(*verify, Some(identity))?);
            }
        }
        let hosts = hosts.into_iter().filter(|(_, host)| *host != HostTls::default());
        Ok(Self { hosts: hosts.collect(), usual, others })
    }

    /// The client for this call.
    pub fn of(&self, call: &Call) -> &reqwest::Client {
        let url = &call.request.url;
        let rules = || self.hosts.matching(host_name(url), port_of(url));
        let verify = rules().find_map(|rule| rule.verify).unwrap_or_default();
        let identity = rules()
            .find_map(|rule| rule.identity.as_ref())
            .filter(|_| call.credential_scope == CredentialScope::OwnHost);
        let asked_for = |pair: &&Pair| pair.verify == verify && pair.identity.as_ref() == identity;
        let pair = self.others.iter().find(asked_for).unwrap_or(&self.usual);
        match call.connection {
            Connection::Keep(_) | Connection::Last(_) => &pair.keep,
            Connection::New => &pair.close,
        }
    }
}

/// A client certificate read from its files.
struct Identity {
    files: IdentityFiles,
    read: ClientCertificate,
}

/// The client certificates of all hosts, each once.
fn identities(hosts: &[(HostPattern, HostTls)]) -> Result<Vec<Identity>, BoxError> {
    let mut all: Vec<Identity> = Vec::new();
    for (pattern, host) in hosts {
        let Some(files) = &host.identity else { continue };
        if all.iter().all(|known| known.files != *files) {
            let read = read_identity(&files.cert, files.key.expose())
                .map_err(|fault| fault.sentence(&format!("hosts.\"{pattern}\"")))?;
            all.push(Identity { files: files.clone(), read });
        }
    }
    Ok(all)
}

/// The settings that all clients share.
pub(super) struct Recipe<'a> {
    /// `[fetch]`
    pub fetch: &'a FetchConfig,
    /// The TLS settings.
    pub tls: Tls,
    /// The most idle connections of one host.
    pub idle_per_host: usize,
    /// Resolves the hosts' names.
    pub resolver: &'a Resolver,
    /// Counts the clients' connections.
    pub counts: &'a Arc<ConnectionCounts>,
}

impl Recipe<'_> {
    fn pair(&self, verify: Verify, identity: Option<&Identity>) -> Result<Pair, BoxError> {
        // Both resume the same sessions.
        let tls = self.tls.config(verify, identity.map(|identity| &identity.read))?;
        let builder = || Ok::<_, BoxError>(self.builder()?.tls_backend_preconfigured(tls.clone()));
        let close = builder()?.pool_max_idle_per_host(0).http1_max_headers(MOST_HEADERS).build()?;
        let keep = builder()?;
        let keep = keep.pool_max_idle_per_host(self.idle_per_host).http1_max_headers(MOST_HEADERS_KEPT).build()?;
        Ok(Pair { verify, identity: identity.map(|identity| identity.files.clone()), keep, close })
    }

    /// A client for one remote end, such as a webhook.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn remote_end(&self) -> Result<reqwest::Client, BoxError> {
        let builder = self.builder()?.tls_backend_preconfigured(self.tls.config(Verify::Yes, None)?);
        Ok(builder.pool_max_idle_per_host(self.idle_per_host).http1_max_headers(MOST_HEADERS_KEPT).build()?)
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, BoxError> {
        let (of_a_body, of_a_connection) = HTTP2_WINDOWS;
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            // The schedule follows redirects, so that each obeys the limits of its host.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // `never` alone still copies each request for a retry.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            .connect_timeout(self.fetch.connect_timeout.0)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .http2_initial_stream_window_size(of_a_body)
            .http2_initial_connection_window_size(of_a_connection)
            .connector_layer(NoteOpened(Arc::clone(self.counts)))
            // Lenient, because servers send such heads (RFC 9112, sections 5.1 and 5.2, and beyond). If leniency yields
            // a second framing, `check_framing` rejects the response.
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .dns_resolver(Arc::new(self.resolver.clone()));
        if !self.fetch.http2 {
            builder = builder.http1_only();
        }
        if let Some(proxy) = &self.fetch.proxy {
            // The proxy resolves names, also with SOCKS.
            let proxy = url::Url::parse(proxy.expose())?.as_str().replacen("socks5://", "socks5h://", 1);
            builder = builder.proxy(reqwest::Proxy::all(proxy)?);
        }
        Ok(builder)
    }
}

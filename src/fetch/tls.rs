//! The TLS configuration of clients: certificates to verify and to show, protocols to offer, sessions to resume.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;

use super::certificate_verifier::CertificateVerifier;
use super::pem::{ClientCertificate, read_authorities};
use super::tls_sessions::TlsSessions;
use super::{FetchConfig, TlsConfig};
use crate::error::BoxError;

/// Whether a server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// It must be valid, for this name, and of a known authority.
    #[default]
    Yes,
    /// Any will do.
    No,
}

/// The TLS settings that all clients of a run share.
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    verifier: CertificateVerifier,
    /// What ALPN offers (RFC 7301).
    protocols: Vec<Vec<u8>>,
    session_hosts: usize,
}

impl Tls {
    /// Reads `tls.ca_file`, and the system's own root certificates. Sessions are kept of so many hosts.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn new(fetch: &FetchConfig, tls: &TlsConfig, session_hosts: usize) -> Result<Self, BoxError> {
        let provider = Arc::new(default_provider());
        let authorities = match &tls.ca_file {
            Some(path) => read_authorities(path).map_err(|fault| fault.sentence("tls"))?,
            None => Vec::new(),
        };
        let verifier = CertificateVerifier::trusting(&authorities, &provider)?;
        let protocols: &[&[u8]] = if fetch.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        Ok(Self { provider, verifier, protocols: protocols.iter().map(|name| name.to_vec()).collect(), session_hosts })
    }

    /// The configuration of one pair of clients. Its sessions are its own: clients that verify less, or show another certificate,
    /// cannot resume them.
    ///
    /// # Errors
    /// When the certificate cannot be shown.
    pub fn config(&self, verify: Verify, shown: Option<&ClientCertificate>) -> Result<ClientConfig, rustls::Error> {
        let verifier = match verify {
            Verify::Yes => self.verifier.clone(),
            Verify::No => CertificateVerifier::AcceptAll,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match shown {
            Some(ClientCertificate { chain, key }) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config.resumption = Resumption::store(Arc::new(TlsSessions::new(self.session_hosts)));
        Ok(config)
    }
}

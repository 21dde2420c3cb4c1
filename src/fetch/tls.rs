//! Builds the TLS configuration of clients: accepted certificates, client certificates, protocols and sessions.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;

use super::certificate_verifier::{Accepted, CertificateVerifier};
use super::pem::{ClientCertificate, read_authorities};
use super::tls_sessions::TlsSessions;
use super::{FetchConfig, TlsConfig};
use crate::error::BoxError;

/// Whether a server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// The certificate must be valid, for this name, and of a known authority.
    #[default]
    Yes,
    /// Any certificate is accepted.
    No,
}

/// The TLS settings that all clients of a run share.
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    accepted: Accepted,
    /// The protocols that ALPN offers (RFC 7301).
    protocols: Vec<Vec<u8>>,
    session_hosts: usize,
}

impl Tls {
    /// Reads `tls.ca_file` and the system's root certificates. Sessions are kept for at most so many hosts.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn new(fetch: &FetchConfig, tls: &TlsConfig, session_hosts: usize) -> Result<Self, BoxError> {
        let provider = Arc::new(default_provider());
        let authorities = match &tls.ca_file {
            Some(path) => read_authorities(path).map_err(|fault| fault.sentence("tls"))?,
            None => Vec::new(),
        };
        let accepted = Accepted::trusting(&authorities, &provider)?;
        let protocols: &[&[u8]] = if fetch.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        Ok(Self { provider, accepted, protocols: protocols.iter().map(|name| name.to_vec()).collect(), session_hosts })
    }

    /// The configuration of one pair of clients. Its sessions are separate: clients that do not verify, or have another
    /// client certificate, cannot resume them.
    ///
    /// # Errors
    /// When the client certificate cannot be used.
    pub fn config(&self, verify: Verify, shown: Option<&ClientCertificate>) -> Result<ClientConfig, rustls::Error> {
        let accepted = match verify {
            Verify::Yes => self.accepted.clone(),
            Verify::No => Accepted::All,
        };
        let sessions = Arc::new(TlsSessions::new(self.session_hosts));
        let verifier = CertificateVerifier { accepted, sessions: Arc::clone(&sessions) };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match shown {
            Some(ClientCertificate { chain, key }) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config.resumption = Resumption::store(sessions);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::CertifiedKey;
    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConnection, HandshakeKind, ServerConfig, ServerConnection, SupportedProtocolVersion, version};

    use super::*;

    /// The most hosts whose sessions are kept.
    const HOSTS: usize = 8;

    fn client() -> Arc<ClientConfig> {
        let tls = Tls::new(&FetchConfig::default(), &TlsConfig::default(), HOSTS).unwrap();
        Arc::new(tls.config(Verify::No, None).unwrap())
    }

    fn server(version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![cert.der().clone()], key.into()).unwrap())
    }

    /// Connects client and server in memory, tickets included.
    fn connect(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, host: &str) -> Option<HandshakeKind> {
        let host = ServerName::try_from(host.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::clone(client), host).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        let mut bytes = Vec::new();
        while client.wants_write() || server.wants_write() {
            bytes.clear();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut bytes.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            bytes.clear();
            server.write_tls(&mut bytes).unwrap();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        client.handshake_kind()
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_resumed_for_an_hour_after_the_certificate_was_verified() {
        for version in [&version::TLS13, &version::TLS12] {
            let (client, server) = (client(), server(version));
            let mut kinds = Vec::new();
            for minutes in [0, 20, 20, 19, 2, 1] {
                tokio::time::advance(Duration::from_secs(60 * minutes)).await;
                kinds.push(connect(&client, &server, "a.test").unwrap());
            }
            let [full, resumed] = [HandshakeKind::Full, HandshakeKind::Resumed];
            assert_eq!(kinds, [full, resumed, resumed, resumed, full, resumed], "{version:?}");
        }
    }

    #[test]
    fn the_least_recently_used_host_makes_room_for_a_further_one() {
        for version in [&version::TLS13, &version::TLS12] {
            let (client, server) = (client(), server(version));
            let kind = |n: usize| connect(&client, &server, &format!("{n}.test")).unwrap();
            (0..HOSTS).for_each(|n| assert_eq!(kind(n), HandshakeKind::Full));
            assert_eq!(kind(0), HandshakeKind::Resumed);
            assert_eq!(kind(HOSTS), HandshakeKind::Full);
            let [used, unused] = [kind(0), kind(1)];
            assert_eq!((used, unused), (HandshakeKind::Resumed, HandshakeKind::Full), "{version:?}");
        }
    }
}

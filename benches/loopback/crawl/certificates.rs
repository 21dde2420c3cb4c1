//! A certificate for each address, signed on demand by an authority that is made at the start.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::server::ProducesTickets;

/// The authority, and what the servers of all addresses have in common.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "crawl");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let [own, key] = [(); 2].map(|()| KeyPair::generate().expect("a key"));
        Self {
            issuer: CertifiedIssuer::self_signed(params, own).expect("an authority"),
            key,
            provider: Arc::new(default_provider()),
            tickets: Ticketer::new().expect("a key for tickets"),
        }
    }

    /// The certificate to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server at an address. Its tickets are resumed in TLS 1.3 and 1.2.
    pub fn server(&self, address: Ipv4Addr) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([address.to_string()]).expect("an address");
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.key, &self.issuer).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.into()], key.into()))
            .expect("a server's configuration");
        config.ticketer = Arc::clone(&self.tickets);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

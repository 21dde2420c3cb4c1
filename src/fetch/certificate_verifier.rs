//! Verifies server certificates. A handshake that resumes a session has none, so the verifier also notes which
//! handshakes are full, and when the certificate of a host was verified.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::handshake::Handshake;
use super::tls_sessions::TlsSessions;

/// Verifies the certificates of the connections that share a session store.
#[derive(Debug)]
pub(super) struct CertificateVerifier {
    /// The certificates that it accepts.
    pub accepted: Accepted,
    /// The session store, which notes the verified hosts.
    pub sessions: Arc<TlsSessions>,
}

/// Which certificates are accepted.
#[derive(Clone, Debug)]
pub(super) enum Accepted {
    /// Those that one of these authorities has signed.
    SignedBy(Arc<Verifier>),
    /// None: no authority is known.
    None,
    /// All.
    All,
}

impl Accepted {
    /// Accepts certificates of the system's authorities and of these.
    ///
    /// # Errors
    /// When one of these cannot be used.
    pub fn trusting(more: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        match Verifier::new(Arc::clone(provider)) {
            Ok(verifier) if more.is_empty() => return Ok(Self::SignedBy(Arc::new(verifier))),
            Ok(_) => {}
            Err(_) => {
                tracing::warn!(
                    "the system has no root certificates; https works only with the authorities in tls.ca_file"
                );
                if more.is_empty() {
                    return Ok(Self::None);
                }
            }
        }
        let verifier = Verifier::new_with_extra_roots(more.to_vec(), Arc::clone(provider))?;
        Ok(Self::SignedBy(Arc::new(verifier)))
    }
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Handshake::Full.note();
        let verified = match &self.accepted {
            Accepted::SignedBy(verifier) => verifier.verify_server_cert(certificate, intermediates, host, ocsp, now)?,
            Accepted::None => return Err(CertificateError::UnknownIssuer.into()),
            Accepted::All => ServerCertVerified::assertion(),
        };
        self.sessions.note_verified(host.to_owned());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.accepted {
            Accepted::SignedBy(verifier) => verifier.verify_tls12_signature(message, certificate, signed),
            // The signature would only prove that the server has the key of an unverified certificate.
            Accepted::None | Accepted::All => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.accepted {
            Accepted::SignedBy(verifier) => verifier.verify_tls13_signature(message, certificate, signed),
            Accepted::None | Accepted::All => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match &self.accepted {
            Accepted::SignedBy(verifier) => verifier.supported_verify_schemes(),
            Accepted::None | Accepted::All => ANY_SCHEME.to_vec(),
        }
    }
}

/// Every scheme, for servers whose certificates are not verified.
const ANY_SCHEME: [SignatureScheme; 13] = [
    SignatureScheme::ED25519,
    SignatureScheme::ED448,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA1,
];

//! Reads and validates the PEM files (RFC 7468) of the TLS configuration. An error names the configuration key, and
//! never shows the contents of a file.

use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The error for a PEM file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The key that names the file, without its table.
    pub key: &'static str,
    /// The rest of the message.
    what: String,
}

impl Unusable {
    /// The whole message, for a key of this table.
    pub fn sentence(&self, table: &str) -> String {
        format!("`{table}.{}` {}", self.key, self.what)
    }
}

/// Reads the certificates of authorities in `ca_file`.
///
/// # Errors
/// When the file cannot be read, has no certificate, or one that cannot be an authority's.
pub fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let certificates = certificates("ca_file", path)?;
    let mut store = RootCertStore::empty();
    for (place, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|error| {
            unusable("ca_file", path, &format!("whose certificate number {} cannot be used: {error}", place + 1))
        })?;
    }
    Ok(certificates)
}

/// A client certificate with its key.
pub struct ClientCertificate {
    /// The certificate and its intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
}

/// Reads a certificate with its intermediates from `client_cert`, and its key from `client_key`.
///
/// # Errors
/// When a file cannot be read or is invalid, or the key belongs to another certificate.
pub fn read_identity(cert: &Path, key: &Path) -> Result<ClientCertificate, Unusable> {
    let chain = certificates("client_cert", cert)?;
    let der = PrivateKeyDer::from_pem_slice(&contents("client_key", key)?)
        .map_err(|_| unusable("client_key", key, "which has no unencrypted private key in PEM"))?;
    CertifiedKey::from_der(chain.clone(), der.clone_key(), &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let what = format!("which is not the key of the certificate in {}", cert.display());
            unusable("client_key", key, &what)
        }
        rustls::Error::InvalidCertificate(_) => {
            unusable("client_cert", cert, &format!("whose certificate cannot be used: {error}"))
        }
        _ => unusable("client_key", key, &format!("whose key cannot be used: {error}")),
    })?;
    Ok(ClientCertificate { chain, key: der })
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let pem = contents(key, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(key, path, "which has no certificate in PEM")),
        Err(_) => Err(unusable(key, path, "which is damaged: parts of it are not PEM")),
    }
}

fn contents(key: &'static str, path: &Path) -> Result<Vec<u8>, Unusable> {
    if path.to_string_lossy().contains("-----BEGIN") {
        return Err(Unusable { key, what: "contains PEM itself; set it to the path of a PEM file".to_owned() });
    }
    // The file is read more than once, and a read from a pipe could block for ever.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(unusable(key, path, "which is not a file")),
        _ => std::fs::read(path).map_err(|error| unusable(key, path, &format!("which cannot be read: {error}"))),
    }
}

fn unusable(key: &'static str, path: &Path, what: &str) -> Unusable {
    Unusable { key, what: format!("is {}, {what}", path.display()) }
}

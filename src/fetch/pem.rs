//! The files that TLS needs, in PEM (RFC 7468): read, and found to be what their keys say. An error tells which key of
//! the configuration is wrong, and never shows what a file holds.

use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The key that names the file, without its table.
    pub key: &'static str,
    /// What is said of it.
    what: String,
}

impl Unusable {
    /// The whole sentence, for a key of this table.
    pub fn sentence(&self, table: &str) -> String {
        format!("`{table}.{}` {}", self.key, self.what)
    }
}

/// Reads `ca_file`: certificates of authorities.
///
/// # Errors
/// When the file cannot be read, holds no certificate, or one that is none of an authority.
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

/// What is shown to a server that asks for a certificate.
pub struct ClientCertificate {
    /// The certificate, and those that lead to its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// Reads `client_cert` and `client_key`: a certificate, with those that lead to its authority, and its key.
///
/// # Errors
/// When a file cannot be read or does not hold what it should, or the key is that of another certificate.
pub fn read_identity(cert: &Path, key: &Path) -> Result<ClientCertificate, Unusable> {
    let chain = certificates("client_cert", cert)?;
    let der = PrivateKeyDer::from_pem_slice(&contents("client_key", key)?)
        .map_err(|_| unusable("client_key", key, "which has no private key in PEM that is not encrypted"))?;
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
        Err(_) => Err(unusable(key, path, "which is damaged: it is not PEM from its first line to its last")),
    }
}

fn contents(key: &'static str, path: &Path) -> Result<Vec<u8>, Unusable> {
    if path.to_string_lossy().contains("-----BEGIN") {
        return Err(Unusable { key, what: "holds PEM itself; write the path of a file that does".to_owned() });
    }
    // The file is read more than once, and a pipe would wait for ever.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(unusable(key, path, "which is not a file")),
        _ => std::fs::read(path).map_err(|error| unusable(key, path, &format!("which cannot be read: {error}"))),
    }
}

fn unusable(key: &'static str, path: &Path, what: &str) -> Unusable {
    Unusable { key, what: format!("is {}, {what}", path.display()) }
}

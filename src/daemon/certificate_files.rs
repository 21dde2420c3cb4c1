//! Digests of the certificate and key files that a configuration names: a reload that finds other contents opens new
//! connections.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use crate::config::Config;

/// The SHA-256 of each file by path; `None` for a file that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CertificateFiles(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl CertificateFiles {
    /// Reads the files of a configuration.
    pub fn read(config: &Config) -> Self {
        let hosts = config.hosts.values().flat_map(|host| {
            let key = host.client_key.as_ref().map(|key| key.expose().as_path());
            host.client_cert.as_deref().into_iter().chain(key)
        });
        let paths = config.tls.ca_file.as_deref().into_iter().chain(hosts);
        Self(paths.map(|path| (path.to_owned(), digest(path))).collect())
    }
}

fn digest(path: &Path) -> Option<Vec<u8>> {
    const MOST: u64 = 16 << 20;
    let mut text = Vec::new();
    File::open(path).ok()?.take(MOST).read_to_end(&mut text).ok()?;
    let mut context = Context::new(&SHA256);
    context.update(&text);
    Some(context.finish().as_ref().to_vec())
}

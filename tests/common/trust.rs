//! An authority that a test makes fetchd trust, by the files of a directory of its own.

use std::path::Path;

use tempfile::TempDir;

use super::certs::{Authority, Identity};
use super::fetchd::Fetchd;

/// A directory with the certificate of an authority in `ca.pem`.
pub struct Trust {
    dir: TempDir,
    pub authority: Authority,
}

impl Trust {
    pub fn new() -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        Self { dir, authority }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A certificate of the authority for some addresses of this machine, and a name.
    pub fn identity(&self) -> Identity {
        self.authority.identity(&["127.0.0.1", "127.0.0.2", "name.example"])
    }

    /// fetchd with this configuration besides the trust in the authority, in this directory. It retries at once, so that
    /// no test waits for it.
    pub fn fetchd(&self, config: &str) -> Fetchd {
        let trusting = format!("tls.ca_file = 'ca.pem'\nretry = {{ retries = 2, backoff = '1ms' }}\n{config}");
        Fetchd::local().config(&trusting).directory(self.path())
    }

    /// Puts a client certificate into `me.pem` and `me.key`; the keys of the configuration that name them come back.
    pub fn write_me(&self) -> &'static str {
        let me = self.authority.identity(&["me"]);
        std::fs::write(self.path().join("me.pem"), me.certificate_pem()).unwrap();
        std::fs::write(self.path().join("me.key"), me.key_pem()).unwrap();
        "client_cert = 'me.pem'\nclient_key = 'me.key'\n"
    }
}

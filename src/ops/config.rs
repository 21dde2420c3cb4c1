//! The `[api]` table.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::diagnostics::Section;

/// Connections that one listener serves at once.
pub(super) const MOST_CONNECTIONS: usize = 32;

/// Connections that the Unix socket serves in addition, so that an operator gets through.
pub(super) const SPARE_CONNECTIONS: usize = 8;

/// The longest path that a Unix socket can have, in bytes.
pub(crate) const LONGEST_SOCKET_PATH: usize = 107;

/// The `[api]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// The path of the API's Unix socket; without it there is none.
    pub socket: Option<PathBuf>,
    /// The group that may connect to the socket, besides the user that runs fetchd.
    pub socket_group: Option<String>,
    /// The loopback address and port for `/metrics`, `/healthz` and `/readyz`.
    pub metrics_listen: Option<String>,
}

impl ApiConfig {
    /// Whether there is a listener.
    pub fn is_on(&self) -> bool {
        self.socket.is_some() || self.metrics_listen.is_some()
    }

    /// File descriptors that the API can have open at once: listeners, their connections, one being accepted, and those
    /// of its thread's runtime.
    pub fn open_files(&self) -> u64 {
        const OF_RUNTIME: u64 = 4;
        let listener = 2 + MOST_CONNECTIONS as u64;
        let socket = self.socket.iter().map(|_| listener + SPARE_CONNECTIONS as u64);
        let metrics = self.metrics_listen.iter().map(|_| listener);
        let listeners: u64 = socket.chain(metrics).sum();
        if self.is_on() { listeners + OF_RUNTIME } else { 0 }
    }

    /// The address of `metrics_listen`.
    ///
    /// # Errors
    /// A sentence if it is not a loopback address with a port.
    pub(super) fn metrics_address(&self) -> Result<Option<SocketAddr>, String> {
        let Some(text) = &self.metrics_listen else { return Ok(None) };
        let address: SocketAddr = text.parse().map_err(|_| {
            format!(
                "`metrics_listen` is `{text}`, which is not an address with a port; write for example \"127.0.0.1:9180\""
            )
        })?;
        if !address.ip().is_loopback() {
            return Err(format!(
                "other machines can reach `metrics_listen` at {address}, where fetchd speaks no TLS; write for example \"127.0.0.1:{}\", behind a proxy that speaks TLS",
                address.port()
            ));
        }
        Ok(Some(address))
    }

    /// Reports all problems of the table.
    pub fn check(&self, section: &mut Section<'_>) {
        match &self.socket {
            Some(socket) if socket.as_os_str().is_empty() || socket.file_name().is_none() => {
                let message = "`socket` is not the path of a file; write for example \"/run/fetchd/api/api.sock\"";
                section.add("socket", message);
            }
            Some(socket) if socket.as_os_str().len() > LONGEST_SOCKET_PATH => {
                let message = format!(
                    "the path of a Unix socket can have {LONGEST_SOCKET_PATH} bytes, and `socket` has {}; shorten the path",
                    socket.as_os_str().len()
                );
                section.add("socket", message);
            }
            Some(_) => {}
            None if self.socket_group.is_some() => {
                let message = "`socket_group` opens the socket to a group, but there is no `socket`; add `socket`, or leave `socket_group` out";
                section.add("socket_group", message);
            }
            None => {}
        }
        if let Err(message) = self.metrics_address() {
            section.add("metrics_listen", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Report;

    fn problems(config: &ApiConfig) -> Vec<String> {
        let mut report = Report::default();
        config.check(&mut Section::new("api".to_owned(), &mut report));
        report.problems().iter().map(|problem| problem.message.clone()).collect()
    }

    fn socket(path: &str) -> ApiConfig {
        ApiConfig { socket: Some(path.into()), ..ApiConfig::default() }
    }

    fn metrics(listen: &str) -> ApiConfig {
        ApiConfig { metrics_listen: Some(listen.into()), ..ApiConfig::default() }
    }

    #[test]
    fn every_wrong_value_is_reported_with_what_to_write() {
        for (config, part) in [
            (socket(""), "write for example"),
            (socket("/run/.."), "write for example"),
            (socket(&"s".repeat(108)), "can have 107 bytes, and `socket` has 108"),
            (ApiConfig { socket_group: Some("ops".into()), ..ApiConfig::default() }, "there is no `socket`"),
            (metrics("9180"), "is not an address with a port"),
            (metrics("localhost:9180"), "is not an address with a port"),
            (metrics("0.0.0.0:9180"), "write for example \"127.0.0.1:9180\""),
            (metrics("[::]:9180"), "other machines can reach"),
        ] {
            let problems = problems(&config);
            assert!(problems.len() == 1 && problems[0].contains(part), "{config:?}: {problems:?}");
        }
        for config in [ApiConfig::default(), socket("api.sock"), metrics("127.0.0.1:0"), metrics("[::1]:9180")] {
            assert_eq!(problems(&config), [""; 0], "{config:?}");
        }
    }

    #[test]
    fn listeners_and_their_connections_count_as_open_files() {
        let both = ApiConfig { metrics_listen: Some("127.0.0.1:0".into()), ..socket("a") };
        let counts =
            [ApiConfig::default(), socket("a"), metrics("127.0.0.1:0"), both].map(|config| config.open_files());
        assert_eq!(counts, [0, 46, 38, 80]);
    }
}

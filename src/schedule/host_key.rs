//! The names of hosts: a canonical name, with the port if a pattern has it.

use std::borrow::Cow;

use url::Url;

use super::config::Settings;
use crate::hosts::{host_name, port_of};

impl Settings {
    /// The host of the last line of the input, if that is known.
    pub(super) fn last_host(&self) -> Option<Cow<'_, str>> {
        self.last_line.as_ref().map(|url| host_key(self, url))
    }
}

/// The name of a URL's host, with the port if a pattern has it.
pub(super) fn host_key<'a>(settings: &Settings, url: &'a Url) -> Cow<'a, str> {
    let name = host_name(url);
    if !settings.hosts.name_ports() {
        return name.into();
    }
    let port = port_of(url);
    if settings.hosts.names_port(name, port) { format!("{name}:{port}").into() } else { name.into() }
}

/// Splits the name of a host from its port; 0 if it has none.
pub(super) fn name_and_port(key: &str) -> (&str, u16) {
    let with_port = key.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    with_port.unwrap_or((key, 0))
}

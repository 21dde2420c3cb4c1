//! Which headers a request carries. For one name the first wins: the line's own, `-H`, `[hosts]` (most specific first),
//! `fetch.headers`. The first three belong to the host of the line's own URL, and credentials of `-H` to that of the first line.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, header};

use super::FetchConfig;
use super::decode::ACCEPT_ENCODING;
use crate::hosts::{HostPattern, Patterns, host_name};
use crate::item::{Call, Connection, CredentialScope, LineHost, is_credential, parse_header};
use crate::units::Secret;

/// The configured headers.
#[derive(Clone, Debug, Default)]
pub struct HeaderTable {
    /// `fetch.headers` and what fetchd itself says.
    everywhere: HeaderMap,
    /// `[hosts]`
    hosts: Patterns<HeaderMap>,
    /// `-H`
    command_line: HeaderMap,
    /// The same without credentials.
    command_line_elsewhere: HeaderMap,
}

impl HeaderTable {
    /// A table as configured: `fetch.headers`, `[hosts]` by pattern, and `-H`.
    ///
    /// # Errors
    /// The first header that is none; a checked configuration has no such header.
    pub fn new(
        fetch: &FetchConfig,
        hosts: impl Iterator<Item = (HostPattern, BTreeMap<String, Secret<String>>)>,
        command_line: &BTreeMap<String, Secret<String>>,
    ) -> Result<Self, String> {
        let mut everywhere = HeaderMap::new();
        let user_agent = fetch.user_agent.replace("{version}", env!("CARGO_PKG_VERSION"));
        everywhere.extend([parse_header("user-agent", &user_agent)?]);
        overlay(&mut everywhere, &read(&fetch.headers)?);
        let hosts = hosts.filter(|(_, headers)| !headers.is_empty());
        let hosts = hosts.map(|(pattern, headers)| Ok((pattern, read(&headers)?))).collect::<Result<_, String>>()?;
        let command_line = read(command_line)?;
        let harmless = command_line.iter().filter(|(name, _)| !is_credential(name.as_str()));
        let command_line_elsewhere = harmless.map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Self { everywhere, hosts, command_line, command_line_elsewhere })
    }

    /// The headers of this call's request.
    pub fn of(&self, call: &Call) -> HeaderMap {
        let mut headers = self.everywhere.clone();
        if call.credential_scope == CredentialScope::OwnHost {
            let own_host = host_name(&call.request.url);
            let matching: Vec<_> = self.hosts.matching(own_host, call.own_port).collect();
            let command_line = match call.line_host {
                LineHost::First => &self.command_line,
                LineHost::Other => &self.command_line_elsewhere,
            };
            for of_pattern in matching.into_iter().rev().chain([command_line]) {
                overlay(&mut headers, of_pattern);
            }
        }
        if let Some(extra) = &call.request.extra {
            overlay(&mut headers, &extra.headers);
        }
        // A range is one of the body as it is: of an encoded one, a part could not be decoded.
        let codings = if headers.contains_key(header::RANGE) { "identity" } else { ACCEPT_ENCODING };
        headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static(codings));
        if call.connection == Connection::Close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers
    }
}

fn read(headers: &BTreeMap<String, Secret<String>>) -> Result<HeaderMap, String> {
    headers.iter().map(|(name, value)| parse_header(name, value.expose())).collect()
}

fn overlay(headers: &mut HeaderMap, over: &HeaderMap) {
    for (name, value) in over {
        headers.insert(name.clone(), value.clone());
    }
}

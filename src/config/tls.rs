//! Checks `[tls]` and the TLS keys of `[hosts]`: whether they are allowed there, and whether their files are valid.
//! They are read with the same code as in the run.

use super::Config;
use crate::diagnostics::Report;
use crate::fetch::{Unusable, read_authorities, read_identity};
use crate::schedule::HostConfig;

pub(super) fn check(config: &Config, report: &mut Report) {
    if let Some(path) = &config.tls.ca_file
        && let Err(fault) = read_authorities(path)
    {
        report.add_at_key("tls.ca_file", fault.sentence("tls"));
    }
    for (pattern, host) in &config.hosts {
        if pattern == "*" {
            every_host(host, report);
        } else {
            identity(pattern, host, report);
        }
    }
}

/// Rejects keys that must not apply to every host.
fn every_host(host: &HostConfig, report: &mut Report) {
    if host.insecure == Some(true) {
        let message = "`hosts.\"*\".insecure` would verify no certificate at all; name the host, for example [hosts.\"device.internal\"]";
        report.add_at_key("hosts.*.insecure", message);
    }
    let given = [("client_cert", host.client_cert.is_some()), ("client_key", host.client_key.is_some())];
    if let Some((key, _)) = given.iter().find(|(_, is_given)| *is_given) {
        let message = format!(
            "`hosts.\"*\".{key}` would tell every server that asks who you are; name the host, for example [hosts.\"api.internal\"]"
        );
        report.add_at_key(&format!("hosts.*.{key}"), message);
    }
}

fn identity(pattern: &str, host: &HostConfig, report: &mut Report) {
    let mut add = |key: &str, message: String| report.add_at_key(&format!("hosts.{pattern}.{key}"), message);
    let alone = |there: &str, missing: &str| {
        format!("`hosts.\"{pattern}\".{there}` needs `{missing}` beside it; give both, or leave both out")
    };
    match (&host.client_cert, &host.client_key) {
        (None, None) => {}
        (Some(_), None) => add("client_cert", alone("client_cert", "client_key")),
        (None, Some(_)) => add("client_key", alone("client_key", "client_cert")),
        (Some(cert), Some(key)) => {
            if let Err(fault @ Unusable { key, .. }) = read_identity(cert, key.expose()) {
                add(key, fault.sentence(&format!("hosts.\"{pattern}\"")));
            }
        }
    }
}

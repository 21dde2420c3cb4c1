//! Checks headers: credentials must be configured for named hosts, so that no other host gets them by mistake.

use std::collections::{BTreeMap, HashSet};

use super::Config;
use crate::diagnostics::Report;
use crate::item::{is_credential, parse_header};
use crate::units::Secret;

/// Adds a problem for every invalid header, and for credentials that every host would get.
pub(super) fn check(config: &Config, report: &mut Report) {
    once_each("fetch.headers", &config.fetch.headers, report);
    for (name, value) in &config.fetch.headers {
        let key = format!("fetch.headers.{name}");
        if is_credential(name) {
            let message = format!(
                "`{name}` in `fetch.headers` would go to every host; put it under [hosts.\"example.com\"] as headers = {{ {name} = \"...\" }}"
            );
            report.add_at_key(&key, message);
        } else if let Err(message) = parse_header(name, value.expose()) {
            report.add_at_key(&key, message);
        }
    }
    for (pattern, host) in &config.hosts {
        once_each(&format!("hosts.{pattern}.headers"), &host.headers, report);
        for (name, value) in &host.headers {
            let key = format!("hosts.{pattern}.headers.{name}");
            if let Err(message) = parse_header(name, value.expose()) {
                report.add_at_key(&key, message);
            } else if pattern == "*" && !host.everywhere && is_credential(name) {
                let message = format!(
                    "`{name}` in `hosts.\"*\".headers` would go to every host; name the host, for example [hosts.\"api.internal\"], or write `everywhere = true` beside it"
                );
                report.add_at_key(&key, message);
            }
        }
        if host.everywhere && pattern != "*" {
            let message = format!("`hosts.\"{pattern}\".everywhere` has no meaning; it belongs to [hosts.\"*\"]");
            report.add_at_key(&format!("hosts.{pattern}.everywhere"), message);
        }
    }
}

/// Warnings about headers for every host whose names look like those of credentials.
pub fn suspicious_headers(config: &Config) -> Vec<String> {
    let of_any =
        config.hosts.get("*").filter(|host| !host.everywhere).map(|host| ("hosts.\"*\".headers", &host.headers));
    let tables = [("fetch.headers", &config.fetch.headers)].into_iter().chain(of_any);
    let all = tables.flat_map(|(table, headers)| headers.keys().map(move |name| (table, name)));
    let looks_secret = |name: &str| ["-token", "-secret"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    all.filter(|(_, name)| looks_secret(name))
        .map(|(table, name)| {
            format!(
                "`{name}` in `{table}` goes to every host; if it is a credential, put it under [hosts.\"example.com\"]"
            )
        })
        .collect()
}

/// Warnings about `refresh_on` without a header from a file.
pub fn useless_refreshes(config: &Config) -> Vec<String> {
    if !config.file_values.token_files().is_empty() {
        return Vec::new();
    }
    let patterns = config.hosts.iter().filter(|(_, host)| host.refresh_on.is_some());
    patterns
        .map(|(pattern, _)| {
            format!(
                "`hosts.\"{pattern}\".refresh_on` has no effect because no header of [hosts] comes from a file; write for example headers = {{ authorization = \"Bearer ${{file:token}}\" }}"
            )
        })
        .collect()
}

/// Rejects headers that are given twice; names are case-insensitive.
fn once_each(table: &str, headers: &BTreeMap<String, Secret<String>>, report: &mut Report) {
    let mut seen = HashSet::new();
    for name in headers.keys().filter(|name| !seen.insert(name.to_ascii_lowercase())) {
        report
            .add_at_key(&format!("{table}.{name}"), format!("the header `{name}` is given twice; keep one of the two"));
    }
}

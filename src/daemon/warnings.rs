//! Warnings about a valid configuration; a start, a reload and `fetchd check` give the same.

use std::net::IpAddr;

use crate::config::{Config, suspicious_headers, useless_refreshes};
use crate::fetch::Guard;
use crate::hosts::HostPattern;

/// The warnings, as sentences.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = suspicious_headers(config);
    warnings.extend(useless_refreshes(config));
    warnings.extend(cut_product_token(config));
    warnings.extend(unverified_hosts(config));
    warnings.extend(forbidden_hosts(config));
    warnings
}

/// Logs the warnings.
pub(super) fn log_warnings(config: &Config) {
    for warning in warnings(config) {
        tracing::warn!("{warning}");
    }
}

/// A warning if the product token for robots.txt is only a part of the user agent's name (RFC 9309, section 2.2.1).
fn cut_product_token(config: &Config) -> Option<String> {
    let product = config.fetch.user_agent.split(['/', ' ']).next().unwrap_or_default();
    let token = product.split(|c: char| !c.is_ascii_alphabetic() && !"-_".contains(c)).next().unwrap_or_default();
    (config.robots.enabled && token != product).then(|| {
        format!(
            "robots.txt files are read for `{token}`, because a product token has only letters, `-` and `_`; \
             begin fetch.user_agent with such a name, not with `{product}`"
        )
    })
}

/// A warning about hosts whose certificates are not verified.
fn unverified_hosts(config: &Config) -> Option<String> {
    let insecure: Vec<_> =
        config.hosts.iter().filter(|(_, host)| host.insecure == Some(true)).map(|(text, _)| text.as_str()).collect();
    (!insecure.is_empty())
        .then(|| format!("the certificates of {} are not verified (hosts.\"NAME\".insecure)", insecure.join(", ")))
}

/// Warnings about tables of `[hosts]` for addresses that no request may go to.
fn forbidden_hosts(config: &Config) -> Vec<String> {
    let guard = Guard::new(&config.network);
    let forbidden = config.hosts.keys().filter_map(|text| {
        let forbidden = guard.check(address_of(text)?).err()?;
        Some(format!("requests to hosts.\"{text}\" are refused: {forbidden}"))
    });
    forbidden.collect()
}

/// The address that a pattern names.
fn address_of(pattern: &str) -> Option<IpAddr> {
    let (HostPattern::Name(name) | HostPattern::Port(name, _)) = pattern.parse().ok()? else { return None };
    name.trim_matches(['[', ']']).parse().ok()
}

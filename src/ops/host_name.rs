//! Converts host names that operators write to those of the schedule.

use std::net::Ipv6Addr;

use super::answer::Failure;
use crate::hosts::HostPattern;

/// The name of a host as the schedule uses it, with a port if one is written.
///
/// # Errors
/// 400 if it cannot be the name of a host.
pub(super) fn host(name: impl AsRef<str>) -> Result<String, Failure> {
    let name = name.as_ref();
    let bracketed = name.parse::<Ipv6Addr>().map(|address| format!("[{address}]"));
    match bracketed.as_deref().unwrap_or(name).parse() {
        Ok(host @ (HostPattern::Name(_) | HostPattern::Port(..))) => Ok(host.to_string()),
        _ => Err(Failure::bad(
            "`host` is not the name of a host; write it without scheme and path, for example \"example.com\"",
        )),
    }
}

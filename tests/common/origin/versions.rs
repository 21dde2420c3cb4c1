//! Pages with versions, of a server that answers conditional requests as RFC 9110, section 13.2.2, says.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::log::Request;

/// The versions of the targets that were ever changed; all others have the first one.
#[derive(Default)]
pub struct Versions(HashMap<String, u32>);

impl Versions {
    pub fn change(&mut self, target: &str) {
        *self.0.entry(target.to_owned()).or_default() += 1;
    }

    /// The status, header lines and body for a request, where the validators are of this kind: `etag`, `weak`, `date`, or `none`.
    pub fn answer(&self, kind: &str, request: &Request) -> (u32, String, String) {
        let version = self.0.get(&request.target).copied().unwrap_or_default();
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_400_000_000 + 86_400 * u64::from(version));
        let date = httpdate::fmt_http_date(date);
        let tag = if kind == "weak" { format!("W/\"v{version}\"") } else { format!("\"v{version}\"") };
        let headers = match kind {
            "etag" | "weak" => format!("etag: {tag}\r\n"),
            "date" => format!("last-modified: {date}\r\n"),
            _ => String::new(),
        };
        let is_fresh = match (request.header("if-none-match"), request.header("if-modified-since")) {
            (Some(theirs), _) => matches!(kind, "etag" | "weak") && theirs == tag,
            (None, Some(since)) => kind == "date" && since == date,
            (None, None) => false,
        };
        match is_fresh {
            // As a server may: the client has them.
            true => (304, String::new(), String::new()),
            false => (200, headers, format!("version {version} of {}", request.target)),
        }
    }
}

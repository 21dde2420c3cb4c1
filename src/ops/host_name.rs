//! Names of hosts, as operators write them and as the schedule has them.

use super::answer::Failure;

/// The name of a host as the schedule has it, with its port where one is written.
///
/// # Errors
/// When it cannot be that of a host.
pub(super) fn host(name: String) -> Result<String, Failure> {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "/@*?#".contains(c);
    if name.is_empty() || name.len() > 300 || name.contains(is_odd) {
        return Err(Failure::bad(
            "`host` is not the name of a host; write it without scheme and path, for example \"example.com\"",
        ));
    }
    // International names stand in URLs, and in the schedule, as ASCII.
    let url = url::Url::parse(&format!("http://{name}/"));
    let port = name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(_, port)| port.to_owned());
    let ascii = url.ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or(name);
    Ok(port.map_or_else(|| ascii.clone(), |port| format!("{ascii}:{port}")))
}

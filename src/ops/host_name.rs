//! Names of hosts, as operators write them and as the schedule has them.

use super::answer::Failure;
use crate::hosts::host_name;

/// The name of a host as the schedule has it, with its port where one is written.
///
/// # Errors
/// When it cannot be that of a host.
pub(super) fn host(name: String) -> Result<String, Failure> {
    let wrong = || {
        Failure::bad("`host` is not the name of a host; write it without scheme and path, for example \"example.com\"")
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "/@*?#".contains(c);
    if name.is_empty() || name.len() > 300 || name.contains(is_odd) {
        return Err(wrong());
    }
    // International names stand in URLs, and in the schedule, as ASCII, and without the dot of the root.
    let url = url::Url::parse(&format!("http://{name}/")).map_err(|_| wrong())?;
    let ascii = host_name(&url);
    let has_empty_label = ascii.is_empty() || ascii.starts_with('.') || ascii.ends_with('.') || ascii.contains("..");
    if has_empty_label {
        return Err(wrong());
    }
    let port = name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(_, port)| port);
    Ok(port.map_or_else(|| ascii.to_owned(), |port| format!("{ascii}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_as_its_urls_name_it() {
        let named = |name: &str| host(name.to_owned()).ok();
        for (name, known_as) in [
            ("A.test", "a.test"),
            ("example.com.", "example.com"),
            ("a.test:81", "a.test:81"),
            ("[::1]:81", "[::1]:81"),
            ("bücher.test", "xn--bcher-kva.test"),
        ] {
            assert_eq!(named(name).as_deref(), Some(known_as), "{name}");
        }
        for name in ["", ".", "example.com..", "a..test", "a\u{202e}b", "http://a.test", "*.a.test", "a b", "::1"] {
            assert_eq!(named(name), None, "{name:?}");
        }
    }
}

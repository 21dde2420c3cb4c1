//! Hosts and the patterns that name them.
//!
//! A host is the canonical name (lower case, punycode, no trailing dot), whatever the scheme or port. If a pattern
//! names a port, `host:port` is a host of its own. Used by the schedule (limits) and the fetcher (headers).

use std::fmt;
use std::str::FromStr;

use url::{Host, Position, Url};

/// The canonical name of a URL's host, without port and trailing dot.
pub fn host_name(url: &Url) -> &str {
    let name = url.host_str().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name)
}

/// The port of a URL, or the default port of its scheme.
pub fn port_of(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or_default()
}

/// Scheme, host and port: the scope of a robots.txt (RFC 9309, section 2.3) and of a connection pool.
pub fn origin_of(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// The pattern of a `[hosts."…"]` table. Ordered from the least to the most specific.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    /// `*`
    Any,
    /// `*.suffix`, with its length first, so that a longer suffix is more specific.
    Suffix(usize, String),
    /// `host`
    Name(String),
    /// `host:port`
    Port(String, u16),
}

impl HostPattern {
    /// Whether the pattern matches a host.
    pub fn matches(&self, name: &str, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Suffix(_, suffix) => {
                name.strip_suffix(suffix.as_str()).is_some_and(|head| head.len() > 1 && head.ends_with('.'))
            }
            Self::Name(host) => host == name,
            Self::Port(host, its_port) => host == name && *its_port == port,
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a host pattern; write `*`, `*.example.com`, `example.com` or `example.com:8443`")
        };
        let canonical = |name: &str| {
            let host =
                Host::parse(name).ok().filter(|_| !name.contains('*') && !name.starts_with('.')).ok_or_else(wrong)?;
            let host = host.to_string();
            Ok::<_, String>(host.strip_suffix('.').map(str::to_owned).unwrap_or(host))
        };
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            let suffix = canonical(suffix)?;
            return Ok(Self::Suffix(suffix.len(), suffix));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
                Ok(Self::Port(canonical(host)?, port))
            }
            _ => Ok(Self::Name(canonical(text)?)),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Suffix(_, suffix) => write!(f, "*.{suffix}"),
            Self::Name(host) => f.write_str(host),
            Self::Port(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// A map from patterns to values, looked up by host.
#[derive(Clone, Debug)]
pub struct Patterns<T> {
    // The most specific first.
    entries: Vec<(HostPattern, T)>,
}

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> FromIterator<(HostPattern, T)> for Patterns<T> {
    fn from_iter<I: IntoIterator<Item = (HostPattern, T)>>(iter: I) -> Self {
        let mut entries: Vec<_> = iter.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| b.cmp(a));
        Self { entries }
    }
}

impl<T> Patterns<T> {
    /// The values of all patterns that match, the most specific first.
    pub fn matching<'a>(&'a self, name: &'a str, port: u16) -> impl Iterator<Item = &'a T> + 'a {
        self.entries_matching(name, port).map(|(_, value)| value)
    }

    /// The matching patterns with their values, the most specific first.
    pub fn entries_matching<'a>(
        &'a self,
        name: &'a str,
        port: u16,
    ) -> impl Iterator<Item = (&'a HostPattern, &'a T)> + 'a {
        self.entries
            .iter()
            .filter(move |(pattern, _)| pattern.matches(name, port))
            .map(|(pattern, value)| (pattern, value))
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any pattern names a port.
    pub fn name_ports(&self) -> bool {
        // Patterns with ports are the most specific.
        matches!(self.entries.first(), Some((HostPattern::Port(..), _)))
    }

    /// Whether some pattern makes this port of the host a host of its own.
    pub fn names_port(&self, name: &str, port: u16) -> bool {
        self.ports_of(name).any(|named| named == port)
    }

    /// The ports of this host that patterns make hosts of their own.
    pub fn ports_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u16> + 'a {
        let with_port = self.entries.iter().map_while(|(pattern, _)| match pattern {
            HostPattern::Port(host, port) => Some((host, *port)),
            _ => None,
        });
        with_port.filter(move |(host, _)| *host == name).map(|(_, port)| port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&'static str]) -> Patterns<&'static str> {
        texts.iter().map(|text| (text.parse().unwrap(), *text)).collect()
    }

    #[test]
    fn the_most_specific_pattern_comes_first() {
        let all = patterns(&["*", "*.b.c", "a.b.c:81", "*.c", "a.b.c"]);
        let order: Vec<_> = all.matching("a.b.c", 81).copied().collect();
        assert_eq!(order, ["a.b.c:81", "a.b.c", "*.b.c", "*.c", "*"]);
        assert_eq!(all.matching("x.c", 80).copied().collect::<Vec<_>>(), ["*.c", "*"]);
    }

    #[test]
    fn a_suffix_does_not_match_its_bare_name_or_another_name_that_ends_alike() {
        let all = patterns(&["*.example.com"]);
        assert_eq!(all.matching("example.com", 80).count(), 0);
        assert_eq!(all.matching("badexample.com", 80).count(), 0);
        assert_eq!(all.matching("a.b.example.com", 80).count(), 1);
    }

    #[test]
    fn a_port_is_a_host_of_its_own_only_when_a_pattern_names_it() {
        let all = patterns(&["*", "a.example:8443"]);
        assert!(all.names_port("a.example", 8443));
        assert!(!all.names_port("a.example", 443));
        assert!(!all.names_port("b.example", 8443));
        assert_eq!(all.ports_of("a.example").collect::<Vec<_>>(), [8443]);
        assert_eq!(all.ports_of("b.example").count(), 0);
    }

    #[test]
    fn patterns_are_canonical() {
        assert_eq!("BÜCHER.Example.".parse::<HostPattern>().unwrap().to_string(), "xn--bcher-kva.example");
        assert_eq!("[::1]:80".parse::<HostPattern>().unwrap(), HostPattern::Port("[::1]".into(), 80));
        assert_eq!("[::1]".parse::<HostPattern>().unwrap(), HostPattern::Name("[::1]".into()));
        for wrong in ["a b", "*:80", "*.*", "**", "a.*", "*com", ".com", "h:0", "http://h/"] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
        }
    }
}

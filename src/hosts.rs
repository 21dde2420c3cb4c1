//! Hosts and the patterns that name them.
//!
//! A host is the canonical name (lower case, punycode, no trailing dot) whatever scheme or port, unless a pattern names
//! a port: then `host:port` is a host of its own. Used by the schedule (limits) and by the fetcher (headers).

use std::fmt;
use std::str::FromStr;

use url::{Host, Position, Url};

/// The canonical name of a URL's host, without port and trailing dot.
pub fn host_name(url: &Url) -> &str {
    let name = url.host_str().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name)
}

/// A name without its port; `None` if it has none.
pub fn without_port(name: &str) -> Option<&str> {
    name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(name, _)| name)
}

/// The port a URL names or implies.
pub fn port_of(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or_default()
}

/// Scheme, host and port: what one robots.txt speaks for (RFC 9309, section 2.3), and what connections are kept for.
pub fn origin_of(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// Which hosts a `[hosts."…"]` table speaks of. Ordered from the least to the most specific.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    /// `*`
    Any,
    /// `*.suffix`, kept with its length first so that a longer suffix is more specific.
    Suffix(usize, String),
    /// `host`
    Name(String),
    /// `host:port`
    Port(String, u16),
}

impl HostPattern {
    /// Whether the host is one that this pattern speaks of.
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

/// One value per pattern, asked by host.
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

    /// The same with the patterns.
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

    /// Whether some pattern names a port. The first is the most specific.
    pub fn name_ports(&self) -> bool {
        matches!(self.entries.first(), Some((HostPattern::Port(..), _)))
    }

    /// Whether some pattern makes this port of the host a host of its own.
    pub fn names_port(&self, name: &str, port: u16) -> bool {
        let is_it = |pattern: &HostPattern| matches!(pattern, HostPattern::Port(..)) && pattern.matches(name, port);
        self.entries.iter().take_while(|(p, _)| matches!(p, HostPattern::Port(..))).any(|(p, _)| is_it(p))
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

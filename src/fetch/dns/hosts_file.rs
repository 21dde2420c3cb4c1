//! Parses the hosts file, hosts(5). Names are compared as lower-case bytes, so any host name of a URL may be listed.

use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HostsFile {
    by_name: HashMap<Box<str>, Vec<IpAddr>>,
}

impl HostsFile {
    /// Parses the text of a hosts file; skips lines without an address and a name.
    pub fn parse(text: &[u8]) -> Self {
        let mut hosts = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for name in words {
                let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
                let addresses = hosts.by_name.entry(name.into()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of a lower-case name without a trailing dot, in the order of the file.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_with_an_address_counts_and_others_are_left_out() {
        let text = b"# comment\n\n127.0.0.1 localhost Wiki.Corp. # note\r\n::1\tlocalhost\nnot-an-address x\n\
            192.0.2.1 a.-b.test my_host\n192.0.2.2\n192.0.2.1 my_host\nfe80::1%lo0 localhost\n\xff\n192.0.2.3 last";
        let hosts = HostsFile::parse(text);
        let shown = |name: &str| hosts.addresses(name).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(shown("localhost"), "127.0.0.1 ::1");
        assert_eq!([shown("wiki.corp"), shown("a.-b.test")], ["127.0.0.1", "192.0.2.1"]);
        assert_eq!([shown("my_host"), shown("last"), shown("x")], ["192.0.2.1", "192.0.2.3", ""]);
    }
}

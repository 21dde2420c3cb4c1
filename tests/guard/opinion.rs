//! Python's opinion on which addresses are global (`python.txt`), and where ours differs.

use std::net::IpAddr;

use ipnet::IpNet;

/// What the guard is to say of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    Global,
    Special,
    /// As of the IPv4 addresses in it, all of them.
    AsEmbedded,
}

/// Where we differ from Python 3.13.0, and why; within a range, a narrower one counts.
pub const DIFFERENCES: [(&str, Ours, &str); 13] = [
    ("192.88.99.0/24", Ours::Special, "the registry row has ended (RFC 7526); Python leaves such rows out"),
    ("224.0.0.0/4", Ours::Special, "no HTTP server answers at a multicast group; Python calls all of them global"),
    ("::/3", Ours::Special, "outside of 2000::/3 no address is assigned for global unicast; Python lists exceptions"),
    ("4000::/2", Ours::Special, "as ::/3; it holds 5f00::/16 (RFC 9602), which Python does not know"),
    ("8000::/1", Ours::Special, "as ::/3; it holds multicast and site-local addresses, which Python calls global"),
    ("100:0:0:1::/64", Ours::Special, "RFC 9780 is younger than this Python"),
    ("::ffff:0:0/96", Ours::AsEmbedded, "the kernel dials the IPv4 address, for which we differ as above"),
    ("64:ff9b::/96", Ours::AsEmbedded, "the translator dials the IPv4 address; Python looks at the prefix alone"),
    ("2001::/32", Ours::AsEmbedded, "the registry says neither yes nor no of Teredo; Python says no"),
    ("2001:1::3/128", Ours::Global, "RFC 9665 is younger than this Python"),
    ("2002::/16", Ours::AsEmbedded, "the registry says neither yes nor no of 6to4; Python says no"),
    ("3fff::/20", Ours::Special, "RFC 9637 is younger than this Python"),
    ("5f00::/16", Ours::Special, "RFC 9602 is younger than this Python"),
];

/// An address, and what Python says of it.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub address: IpAddr,
    pub is_global: bool,
}

/// A line of the table: an address, and the IPv4 addresses that it carries.
#[derive(Debug)]
pub struct Opinion {
    pub of: Said,
    embedded: Vec<Said>,
}

impl Opinion {
    /// All there are.
    pub fn all() -> Vec<Self> {
        let lines = include_str!("python.txt").lines().filter(|line| !line.starts_with('#'));
        let opinions: Vec<_> = lines.map(Self::read).collect();
        assert!(opinions.len() > 4000, "only {} addresses", opinions.len());
        opinions
    }

    fn read(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let mut said = words.chunks(2).map(|pair| Said {
            address: pair[0].parse().unwrap(),
            is_global: match pair[1] {
                "yes" => true,
                "no" => false,
                word => panic!("neither yes nor no: {word}"),
            },
        });
        Self { of: said.next().unwrap(), embedded: said.collect() }
    }

    /// Whether the guard is to let the address through.
    pub fn expected(&self) -> bool {
        match difference(self.of.address) {
            None => self.of.is_global,
            Some(Ours::Global) => true,
            Some(Ours::Special) => false,
            Some(Ours::AsEmbedded) => {
                let of_one = |said: &Said| difference(said.address).map_or(said.is_global, |ours| ours == Ours::Global);
                assert!(!self.embedded.is_empty(), "{} carries nothing", self.of.address);
                self.embedded.iter().all(of_one)
            }
        }
    }
}

fn difference(address: IpAddr) -> Option<Ours> {
    let ranges = DIFFERENCES.iter().map(|(net, ours, _)| (net.parse::<IpNet>().unwrap(), *ours));
    let around = ranges.filter(|(net, _)| net.contains(&address));
    around.max_by_key(|(net, _)| net.prefix_len()).map(|(_, ours)| ours)
}

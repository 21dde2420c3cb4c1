//! The reach of IP addresses: every row of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC
//! 8190) as of September 2026, and the enclosing address spaces. The most specific row applies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use Reach::{AsEmbedded, Global, Local};

/// How far packets to an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// "Globally Reachable" in the registry's words.
    Global,
    /// Not globally reachable, no longer assigned, or never assigned.
    Local,
    /// As far as packets to the embedded IPv4 addresses; the registry refers to the protocol's RFC.
    AsEmbedded,
}

/// How far packets to this address go.
pub(super) fn reach(address: IpAddr) -> Reach {
    let rows = ROWS.iter().filter(|(net, _)| net.contains(&address));
    rows.max_by_key(|(net, _)| net.prefix_len()).map_or(Local, |(_, reach)| *reach)
}

const ROWS: [(IpNet, Reach); 57] = [
    v4([0, 0, 0, 0], 0, Global),               // unicast, except where a row below says otherwise
    v4([0, 0, 0, 0], 8, Local),                // this network (RFC 791)
    v4([0, 0, 0, 0], 32, Local),               // this host (RFC 1122)
    v4([10, 0, 0, 0], 8, Local),               // private use (RFC 1918)
    v4([100, 64, 0, 0], 10, Local),            // shared by the customers of a provider (RFC 6598)
    v4([127, 0, 0, 0], 8, Local),              // loopback (RFC 1122)
    v4([169, 254, 0, 0], 16, Local),           // link-local (RFC 3927); cloud metadata services
    v4([172, 16, 0, 0], 12, Local),            // private use (RFC 1918)
    v4([192, 0, 0, 0], 24, Local),             // protocol assignments (RFC 6890)
    v4([192, 0, 0, 0], 29, Local),             // service continuity, DS-Lite (RFC 7335)
    v4([192, 0, 0, 8], 32, Local),             // dummy address (RFC 7600)
    v4([192, 0, 0, 9], 32, Global),            // Port Control Protocol (RFC 7723)
    v4([192, 0, 0, 10], 32, Global),           // TURN (RFC 8155)
    v4([192, 0, 0, 170], 32, Local),           // discovery of NAT64 (RFC 8880)
    v4([192, 0, 0, 171], 32, Local),           // discovery of NAT64 (RFC 8880)
    v4([192, 0, 2, 0], 24, Local),             // documentation (RFC 5737)
    v4([192, 31, 196, 0], 24, Global),         // AS112 (RFC 7535)
    v4([192, 52, 193, 0], 24, Global),         // Automatic Multicast Tunneling (RFC 7450)
    v4([192, 88, 99, 0], 24, Local),           // relays of 6to4, deprecated (RFC 7526)
    v4([192, 88, 99, 2], 32, Local),           // relays of 6a44 (RFC 6751)
    v4([192, 168, 0, 0], 16, Local),           // private use (RFC 1918)
    v4([192, 175, 48, 0], 24, Global),         // AS112 by delegation (RFC 7534)
    v4([198, 18, 0, 0], 15, Local),            // benchmarks (RFC 2544)
    v4([198, 51, 100, 0], 24, Local),          // documentation (RFC 5737)
    v4([203, 0, 113, 0], 24, Local),           // documentation (RFC 5737)
    v4([224, 0, 0, 0], 4, Local),              // multicast (RFC 5771), in another registry
    v4([240, 0, 0, 0], 4, Local),              // reserved (RFC 1112)
    v4([255, 255, 255, 255], 32, Local),       // broadcast (RFC 919)
    v6(&[], 0, Local),                         // reserved by the IETF (RFC 4291), except for the rows below
    v6(&[0, 0, 0, 0, 0, 0, 0, 1], 128, Local), // loopback (RFC 4291)
    v6(&[], 128, Local),                       // unspecified (RFC 4291)
    v6(&[0, 0, 0, 0, 0, 0xffff], 96, AsEmbedded), // IPv4-mapped (RFC 4291)
    v6(&[0x64, 0xff9b], 96, AsEmbedded),       // NAT64 (RFC 6052, section 3.1)
    v6(&[0x64, 0xff9b, 1], 48, Local),         // NAT64 within a network (RFC 8215)
    v6(&[0x100], 64, Local),                   // discarded (RFC 6666)
    v6(&[0x100, 0, 0, 1], 64, Local),          // dummy prefix (RFC 9780)
    v6(&[0x2000], 3, Global),                  // global unicast (RFC 4291)
    v6(&[0x2001], 23, Local),                  // protocol assignments (RFC 2928)
    v6(&[0x2001], 32, AsEmbedded),             // Teredo (RFC 4380)
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 1], 128, Global), // Port Control Protocol (RFC 7723)
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 2], 128, Global), // TURN (RFC 8155)
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 3], 128, Global), // Service Registration Protocol (RFC 9665)
    v6(&[0x2001, 2], 48, Local),               // benchmarks (RFC 5180)
    v6(&[0x2001, 3], 32, Global),              // Automatic Multicast Tunneling (RFC 7450)
    v6(&[0x2001, 4, 0x112], 48, Global),       // AS112 (RFC 7535)
    v6(&[0x2001, 0x10], 28, Local),            // ORCHID, no longer assigned (RFC 4843)
    v6(&[0x2001, 0x20], 28, Global),           // ORCHIDv2 (RFC 7343)
    v6(&[0x2001, 0x30], 28, Global),           // tags of drones (RFC 9374)
    v6(&[0x2001, 0xdb8], 32, Local),           // documentation (RFC 3849)
    v6(&[0x2002], 16, AsEmbedded),             // 6to4 (RFC 3056)
    v6(&[0x2620, 0x4f, 0x8000], 48, Global),   // AS112 by delegation (RFC 7534)
    v6(&[0x3fff], 20, Local),                  // documentation (RFC 9637)
    v6(&[0x5f00], 16, Local),                  // segments of SRv6 (RFC 9602)
    v6(&[0xfc00], 7, Local),                   // unique local (RFC 4193)
    v6(&[0xfe80], 10, Local),                  // link-local (RFC 4291)
    v6(&[0xfec0], 10, Local),                  // site-local, deprecated (RFC 3879), in no registry
    v6(&[0xff00], 8, Local),                   // multicast (RFC 4291), in another registry
];

const fn v4(octets: [u8; 4], length: u8, reach: Reach) -> (IpNet, Reach) {
    let [a, b, c, d] = octets;
    (IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length), reach)
}

/// A row with these IPv6 segments; missing ones at the end are zero.
const fn v6(segments: &[u16], length: u8, reach: Reach) -> (IpNet, Reach) {
    let mut bits = 0;
    let mut at = 0;
    while at < segments.len() {
        bits |= (segments[at] as u128) << (112 - 16 * at);
        at += 1;
    }
    (IpNet::new_assert(IpAddr::V6(Ipv6Addr::from_bits(bits)), length), reach)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_is_a_range_of_its_own_and_starts_where_its_prefix_says() {
        assert!(ROWS.iter().all(|(net, _)| net.addr() == net.network()));
        assert_eq!(ROWS.iter().map(|(net, _)| net).collect::<HashSet<_>>().len(), ROWS.len());
    }

    #[test]
    fn every_row_has_a_second_opinion_on_both_its_edges_and_their_neighbours() {
        let table = include_str!("../../tests/guard/python.txt");
        let addresses: HashSet<&str> = table.lines().filter_map(|line| line.split(' ').next()).collect();
        for (net, _) in ROWS {
            let (first, last) = (bits(net.network()), bits(net.broadcast()));
            for bits in [first.checked_sub(1), Some(first), Some(last), last.checked_add(1)].into_iter().flatten() {
                let address: Option<IpAddr> = match net {
                    IpNet::V4(_) => u32::try_from(bits).ok().map(|bits| Ipv4Addr::from_bits(bits).into()),
                    IpNet::V6(_) => Some(Ipv6Addr::from_bits(bits).into()),
                };
                let missing = address.filter(|address| !addresses.contains(address.to_string().as_str()));
                assert_eq!(missing, None, "of {net}; tests/guard/ask_python.py needs the range");
            }
        }
    }

    fn bits(address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }

    #[test]
    fn the_most_specific_row_holds() {
        for (address, wanted) in [
            ("8.8.8.8", Global),
            ("192.0.0.9", Global),
            ("192.0.0.11", Local),
            ("2001:1::3", Global),
            ("2001:1::4", Local),
            ("2001:0:ffff::", AsEmbedded),
            ("4000::", Local),
        ] {
            assert_eq!(reach(address.parse().unwrap()), wanted, "{address}");
        }
    }
}

//! Which addresses may be dialled. Pure: a table of the IANA special-purpose address registries (RFC 6890 and its
//! updates), and the operator's own lists on top.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::NetworkConfig;
use crate::units::Network;

/// Says which addresses may be dialled.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

/// Why an address may not be dialled; it names the key that would change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not public, and not allowed.
    #[error("{0} is not a public address; `network.allow` (or --allow {0}) would allow it")]
    NotPublic(IpAddr),
    /// Listed.
    #[error("{0} is refused by `network.deny`")]
    Denied(IpAddr),
}

impl Guard {
    /// A guard with the operator's lists.
    pub fn new(config: &NetworkConfig) -> Self {
        let nets = |list: &[Network]| list.iter().map(|network| network.0).collect();
        Self { allow: nets(&config.allow), deny: nets(&config.deny) }
    }

    /// Whether the address may be dialled. An address that embeds another is judged by both.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let embedded = embedded_in(address);
        let within = |nets: &[IpNet], address: &IpAddr| nets.iter().any(|net| net.contains(address));
        if within(&self.deny, &address) || embedded.iter().any(|inner| within(&self.deny, inner)) {
            return Err(Forbidden::Denied(address));
        }
        let all_allowed =
            !embedded.is_empty() && embedded.iter().all(|inner| within(&self.allow, inner) || is_public(*inner));
        if within(&self.allow, &address) || all_allowed || is_public(address) {
            return Ok(());
        }
        Err(Forbidden::NotPublic(address))
    }
}

/// Whether the address is globally reachable by the IANA registries.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded_in(address).as_slice() {
            [] => is_public_v6(v6),
            embedded => embedded.iter().all(|inner| is_public(*inner)),
        },
    }
}

/// IPv4 ranges that are not globally reachable.
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
];

/// Addresses within those ranges that are: the PCP and TURN anycast addresses (RFC 7723, RFC 8155).
const PUBLIC_V4: [Ipv4Net; 2] = [v4([192, 0, 0, 9], 32), v4([192, 0, 0, 10], 32)];

/// The only IPv6 range with global unicast addresses; everything outside is special or unassigned.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// IPv6 ranges within it that are not globally reachable.
const SPECIAL_V6: [Ipv6Net; 3] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// Ranges within those that are (RFC 7723, 8155, 9374 and others).
const PUBLIC_V6: [Ipv6Net; 7] = [
    v6([0x2001, 0x1, 0, 0, 0, 0, 0, 0x1], 128),
    v6([0x2001, 0x1, 0, 0, 0, 0, 0, 0x2], 128),
    v6([0x2001, 0x1, 0, 0, 0, 0, 0, 0x3], 128),
    v6([0x2001, 0x3, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2001, 0x4, 0x112, 0, 0, 0, 0, 0], 48),
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28),
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |ranges: &[Ipv4Net]| ranges.iter().any(|net| net.contains(&address));
    within(&PUBLIC_V4) || !within(&SPECIAL_V4)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |ranges: &[Ipv6Net]| ranges.iter().any(|net| net.contains(&address));
    GLOBAL_V6.contains(&address) && (within(&PUBLIC_V6) || !within(&SPECIAL_V6))
}

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

/// The IPv4 addresses that packets to this address may end at: IPv4-mapped and -compatible (RFC 4291), NAT64
/// (RFC 6052), 6to4 (RFC 3056), and both ends of Teredo (RFC 4380).
fn embedded_in(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return Vec::new() };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => vec![v4(high, low)],
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => vec![v4(high, low)],
        [0x2002, high, low, ..] => vec![v4(high, low)],
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            vec![v4(server_high, server_low), v4(!high, !low)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn the_edges_of_every_special_range_are_where_the_registries_put_them() {
        let guard = Guard::default();
        for net in SPECIAL_V4 {
            assert!(!allowed(&guard, &net.network().to_string()), "{net}");
            assert!(!allowed(&guard, &net.broadcast().to_string()), "{net}");
        }
        for public in [
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "1.0.0.0",
            "192.0.0.9",
            "192.0.0.10",
        ] {
            assert!(allowed(&guard, public), "{public}");
        }
        for public in
            ["2000::", "2001:200::", "2606:4700::1111", "3ffe:ffff::", "3fff:1000::", "2001:db9::", "2001:20::1"]
        {
            assert!(allowed(&guard, public), "{public}");
        }
        for special in [
            "::",
            "::1",
            "100::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b:1::1",
            "4000::",
            "2001:2::1",
            "2001:10::1",
        ] {
            assert!(!allowed(&guard, special), "{special}");
        }
    }

    #[test]
    fn an_address_that_embeds_a_forbidden_one_is_forbidden() {
        let guard = Guard::default();
        for (address, wanted) in [
            ("::ffff:10.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("::10.0.0.1", false),
            ("64:ff9b::a00:1", false),
            ("64:ff9b::808:808", true),
            ("2002:7f00:1::", false),
            ("2002:808:808::1", true),
            // Teredo with a public server, and the client 10.0.0.1 (its bits are inverted).
            ("2001:0:808:808:0:0:f5ff:fffe", false),
            ("2001:0:808:808:0:0:f7f7:f7f7", true),
        ] {
            assert_eq!(allowed(&guard, address), wanted, "{address}");
        }
    }

    #[test]
    fn deny_beats_allow_and_both_see_through_embedding() {
        let config = NetworkConfig {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            deny: vec!["127.0.0.3/32".parse().unwrap(), "8.8.8.0/24".parse().unwrap()],
        };
        let guard = Guard::new(&config);
        assert!(allowed(&guard, "127.0.0.2") && allowed(&guard, "::ffff:127.0.0.2"));
        assert!(!allowed(&guard, "127.0.0.3") && !allowed(&guard, "::ffff:127.0.0.3"));
        assert!(!allowed(&guard, "8.8.8.8") && !allowed(&guard, "2002:808:808::1"));
        let message = guard.check("10.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert!(message.contains("network.allow") && message.contains("10.0.0.1"));
    }
}

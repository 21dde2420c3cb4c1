//! IPv4 addresses embedded in an IPv6 address, to which a translator or tunnel may deliver its packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every IPv4 address embedded in this address; for an ambiguous form, all candidates.
pub(super) fn embedded_in(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return Vec::new() };
    let mut found = by_prefix(v6);
    found.extend(isatap(v6));
    found.into_iter().map(IpAddr::V4).collect()
}

fn by_prefix(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // `::` and `::1` embed none.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // IPv4-compatible and IPv4-mapped (RFC 4291, section 2.5.5), IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => vec![v4(high, low)],
        // NAT64 (RFC 6052, section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => vec![v4(high, low)],
        [0x64, 0xff9b, 1, ..] => of_a_local_translator(address),
        // 6to4 (RFC 3056): the router.
        [0x2002, high, low, ..] => vec![v4(high, low)],
        // Teredo (RFC 4380, section 4): the server, and the client with its bits inverted.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            vec![v4(server_high, server_low), v4(!high, !low)]
        }
        _ => Vec::new(),
    }
}

/// NAT64 within a network (RFC 8215). Its prefix length is unknown here, so each one in RFC 6052, section 2.2, is
/// tried: 48, 56, 64 and 96. Byte 8 is never part of the address.
fn of_a_local_translator(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bytes = address.octets();
    let places: [[usize; 4]; 4] = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
    places.iter().map(|place| Ipv4Addr::from(place.map(|at| bytes[at]))).collect()
}

/// ISATAP (RFC 5214, section 6.1): under any prefix, the last 64 bits hold the IPv4 address of the tunnel's end.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [_, _, _, _, _, _, _, _, 0 | 2, 0, 0x5e, 0xfe, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(address: &str) -> Vec<String> {
        embedded_in(address.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_way_to_carry_an_ipv4_address_is_seen_through() {
        for address in [
            "::10.1.2.3",
            "::ffff:10.1.2.3",
            "::ffff:0:10.1.2.3",
            "64:ff9b::10.1.2.3",
            "2002:a01:203:ffff::1",
            "2a00::5efe:10.1.2.3",
            "2a00::200:5efe:10.1.2.3",
        ] {
            assert_eq!(embedded(address), ["10.1.2.3"], "{address}");
        }
        assert_eq!(embedded("2001:0:808:808:8000:f3f3:f5fe:fdfc"), ["8.8.8.8", "10.1.2.3"]);
    }

    #[test]
    fn a_local_translator_may_have_any_length_of_prefix() {
        for address in
            ["64:ff9b:1:a01:2:300::", "64:ff9b:1:a:1:203::", "64:ff9b:1:0:a:102:300::", "64:ff9b:1::10.1.2.3"]
        {
            assert!(embedded(address).contains(&"10.1.2.3".to_owned()), "{address}: {:?}", embedded(address));
        }
    }

    #[test]
    fn other_addresses_carry_none() {
        for address in ["10.1.2.3", "::", "::1", "2606:4700::6810:84e5", "fe80::1", "64:ff9b:2::10.1.2.3"] {
            assert!(embedded(address).is_empty(), "{address}");
        }
    }
}

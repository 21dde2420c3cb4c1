//! Whether this machine has a way to an address, as its routing table says. No packet is sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Public addresses that belong to nobody (RFC 5737, RFC 3849): a way to them is a way to anywhere.
const ANYWHERE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ANYWHERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Asks the kernel for a way to an address and a source address for it (RFC 6724, section 5, rule 1).
///
/// # Errors
/// What the kernel says when there is none, or when it has no file or port for the question.
pub(super) fn to(address: IpAddr) -> io::Result<()> {
    let here = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    // Connecting a UDP socket looks the way up, and does nothing else. The port is the one for what is thrown away.
    UdpSocket::bind((here, 0))?.connect(SocketAddr::new(address, 9))
}

/// Whether this machine is on the IPv6 internet and not on the IPv4 one.
pub(super) fn is_v6_only() -> bool {
    to(ANYWHERE_V4).is_err() && to(ANYWHERE_V6).is_ok()
}

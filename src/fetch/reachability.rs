//! Whether the routing table has a route to an address. No packet is sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Asks the kernel for a way to an address and a source address for it (RFC 6724, section 5, rule 1).
///
/// # Errors
/// What the kernel says when there is none, or when it has no file or port for the question.
pub(super) fn check(address: IpAddr) -> io::Result<()> {
    let here = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    // Connecting a UDP socket looks the way up, and does nothing else. The port is the one for what is thrown away.
    UdpSocket::bind((here, 0))?.connect(SocketAddr::new(address, 9))
}

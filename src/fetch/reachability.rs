//! Whether this machine has a route to an address, and sockets left.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;

/// Asks the kernel for a route to an address and a source address for it (RFC 6724, section 5, rule 1).
///
/// # Errors
/// The kernel's error if there is no route, or no file or port for the socket.
pub(super) fn route_to(address: IpAddr) -> io::Result<()> {
    let here = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    // Connecting a UDP socket only looks up the route. Port 9 is the discard port.
    UdpSocket::bind((here, 0))?.connect(SocketAddr::new(address, 9))
}

/// Whether this machine has a route to public IPv6 addresses.
pub(super) fn has_ipv6() -> bool {
    // Any global unicast address (RFC 4291, section 2.4); nothing is sent there.
    const PUBLIC: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1);
    route_to(PUBLIC.into()).is_ok()
}

/// Whether an error means that this machine has no file or memory for another socket.
pub(super) fn is_out_of_sockets(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

//! From the client's errors to the table's kinds. The errors' chains are walked, for the client itself says little.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use super::resolve::Unresolved;
use crate::error::Chain;
use crate::item::{Failure, Kind, Sent};

/// What went wrong before the answer's head was there.
pub(super) fn before_answer(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if let Some(unresolved) = find::<Unresolved>(&error) {
        let sent = if unresolved.kind == Kind::ForbiddenAddress { Sent::Refused } else { Sent::Nothing };
        return Failure { kind: unresolved.kind, message: unresolved.message.clone(), sent };
    }
    let (kind, sent) = if error.is_builder() {
        (Kind::InvalidUrl, Sent::Refused)
    } else if error.is_connect() {
        (while_connecting(&error), if is_starved(&error) { Sent::Starved } else { Sent::Nothing })
    } else {
        (while_asking(&error), Sent::Something)
    };
    Failure { kind, message: message(kind, &error), sent }
}

/// What went wrong in the middle of the body.
pub(super) fn within_body(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let broken_framing = find::<io::Error>(&error).is_some_and(|io| {
        matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
            && find::<rustls::Error>(&error).is_none()
    });
    let kind = if broken_framing { Kind::Protocol } else { Kind::BodyIncomplete };
    Failure { kind, message: message(kind, &error), sent: Sent::Something }
}

fn while_connecting(error: &reqwest::Error) -> Kind {
    if find::<rustls::Error>(error).is_some() {
        return Kind::TlsFailed;
    }
    if error.is_timeout() {
        return Kind::ConnectTimeout;
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Kind::ConnectRefused,
        Some(io::ErrorKind::TimedOut) => Kind::ConnectTimeout,
        _ => Kind::ConnectFailed,
    }
}

/// Whether it was this machine that had no file or port for a connection.
fn is_starved(error: &(dyn Error + 'static)) -> bool {
    let errno = find::<io::Error>(error).and_then(Errno::from_io_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM))
}

fn while_asking(error: &reqwest::Error) -> Kind {
    let speaks_nonsense = find::<hyper::Error>(error).is_some_and(|error| error.is_parse() || error.is_user());
    if speaks_nonsense { Kind::Protocol } else { Kind::Reset }
}

fn message(kind: Kind, error: &reqwest::Error) -> String {
    let what = match kind {
        Kind::ConnectRefused => "the connection was refused",
        Kind::ConnectTimeout => "no connection within the connect timeout",
        Kind::ConnectFailed => "the connection failed",
        Kind::TlsFailed => "the TLS handshake failed",
        Kind::Reset => "the connection was lost before the answer",
        Kind::BodyIncomplete => "the connection was lost within the body",
        Kind::InvalidUrl => "the client refused the request",
        _ => "the server does not speak HTTP as it should",
    };
    // The outermost errors only say "error sending request".
    let cause = error.source().and_then(Error::source).or(error.source());
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {}", Chain(cause)))
}

/// The innermost error of a type in the chain; those that an `io::Error` wraps are looked at, too.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|inner| find::<E>(inner));
    within.or_else(|| error.source().and_then(find::<E>)).or_else(|| error.downcast_ref::<E>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_files_ports_or_memory_is_this_machines_and_no_servers() {
        let within = |errno: Errno| io::Error::other(io::Error::from(errno));
        for lack in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_starved(&within(lack)), "{lack}");
        }
        for fault in [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::NETUNREACH, Errno::CONNRESET] {
            assert!(!is_starved(&within(fault)), "{fault}");
        }
    }
}

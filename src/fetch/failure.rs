//! Maps the client's errors to error kinds. It searches the errors' sources, because the client's own errors are vague.

use std::error::Error;
use std::io;

use http::Version;
use url::{Host, Url};

use super::certificate;
use super::connection_reuse::Carrier;
use super::dns::LookupError;
use super::reachability::{self, is_out_of_sockets};
use crate::error::{Chain, find};
use crate::hosts::host_name;
use crate::item::{Call, Connection, ErrorKind, Failure, Sent};

/// The failure for an error before the response head; `proxy` is the proxy of the request.
pub(super) fn before_answer(error: reqwest::Error, carrier: Carrier, call: &Call, proxy: Option<&str>) -> Failure {
    let url = &call.request.url;
    let error = error.without_url();
    if let Some(unresolved) = find::<LookupError>(&error) {
        let LookupError { kind, message, sent } = unresolved.clone();
        let message = match proxy {
            Some(proxy) => format!("{}: {message}", no_way_through(proxy)),
            None => message,
        };
        return Failure::new(kind, message, sent);
    }
    let (kind, sent) = if error.is_builder() {
        (ErrorKind::InvalidUrl, Sent::Refused)
    } else if error.is_connect() {
        (while_connecting(&error), if is_starved(&error, url) { Sent::Starved } else { Sent::Nothing })
    } else {
        while_asking(&error)
    };
    let sent = match call.connection {
        _ if carrier == Carrier::Kept && closes_kept(&error, kind) => Sent::Stale,
        Connection::Keep(_) | Connection::Last(_) if has_long_head(&error) => Sent::LongHead,
        _ => sent,
    };
    let message = match (find::<rustls::Error>(&error), proxy) {
        (Some(tls), _) => of_tls(tls, host_name(url)),
        (None, Some(proxy)) if error.is_connect() => with_cause(&no_way_through(proxy), &error),
        _ => with_cause(in_words(kind), &error),
    };
    Failure::new(kind, message, sent)
}

/// The failure for a 408 with which a server closes an idle connection; the server had not received the request yet.
pub(super) fn tired_of_waiting() -> Failure {
    Failure::new(ErrorKind::Reset, "the server closed the kept connection with a 408", Sent::Stale)
}

/// The failure for a proxy that requires credentials (RFC 9110, section 15.5.8); the request did not reach the host.
pub(super) fn refused_by_proxy(proxy: &str) -> Failure {
    let message = format!("{}: it requires credentials; set http://USER:PASSWORD@{proxy}", no_way_through(proxy));
    Failure::new(ErrorKind::ConnectFailed, message, Sent::Nothing)
}

/// The failure for an error within the body.
pub(super) fn within_body(error: reqwest::Error, version: Version) -> Failure {
    let error = error.without_url();
    let broken_framing = find::<io::Error>(&error).is_some_and(|io| {
        matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
            && find::<rustls::Error>(&error).is_none()
            && version != Version::HTTP_2
    });
    let kind = if broken_framing { ErrorKind::Protocol } else { ErrorKind::BodyIncomplete };
    Failure::new(kind, with_cause(in_words(kind), &error), Sent::Something)
}

/// The failure for an HTTP/2 stream that the server reset with NO_ERROR before the end of the body.
pub(super) fn cut_short() -> Failure {
    let message = "the server ended the stream before the end of the body";
    Failure::new(ErrorKind::BodyIncomplete, message, Sent::Something)
}

fn while_connecting(error: &reqwest::Error) -> ErrorKind {
    if find::<rustls::Error>(error).is_some() {
        return ErrorKind::TlsFailed;
    }
    if error.is_timeout() {
        return ErrorKind::ConnectTimeout;
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => ErrorKind::ConnectRefused,
        Some(io::ErrorKind::TimedOut) => ErrorKind::ConnectTimeout,
        _ => ErrorKind::ConnectFailed,
    }
}

/// Whether this machine had no file descriptor or port for a connection.
fn is_starved(error: &(dyn Error + 'static), url: &Url) -> bool {
    let Some(error) = find::<io::Error>(error) else { return false };
    if error.kind() != io::ErrorKind::AddrNotAvailable {
        return is_out_of_sockets(error);
    }
    // No port was free, or there is no route to the IPv6 address of the URL. The resolver returns none without a route.
    match url.host() {
        Some(Host::Ipv6(address)) => reachability::route_to(address.into()).is_ok(),
        _ => true,
    }
}

fn while_asking(error: &reqwest::Error) -> (ErrorKind, Sent) {
    if find::<rustls::Error>(error).is_some() {
        // With TLS 1.3 a server rejects the client's certificate only after the handshake.
        return (ErrorKind::TlsFailed, Sent::Something);
    }
    if let Some(error) = find::<h2::Error>(error) {
        return over_http2(error);
    }
    let speaks_nonsense = find::<hyper::Error>(error).is_some_and(|error| error.is_parse() || error.is_user());
    (if speaks_nonsense { ErrorKind::Protocol } else { ErrorKind::Reset }, Sent::Something)
}

/// A refused stream, or one after the last of a GOAWAY, was not processed (RFC 9113, section 8.7).
fn over_http2(error: &h2::Error) -> (ErrorKind, Sent) {
    let is_refused = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() && is_refused {
        (ErrorKind::Reset, Sent::Nothing)
    } else if error.is_library() {
        (ErrorKind::Protocol, Sent::Something)
    } else {
        (ErrorKind::Reset, Sent::Something)
    }
}

/// Whether the error is that of a server that closed an idle connection while the request was on its way.
fn closes_kept(error: &reqwest::Error, kind: ErrorKind) -> bool {
    match find::<h2::Error>(error) {
        Some(error) if error.is_go_away() => error.reason() == Some(h2::Reason::NO_ERROR),
        Some(error) => error.is_io() || (error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)),
        // The server may close TLS with an alert.
        None => matches!(kind, ErrorKind::Reset | ErrorKind::TlsFailed),
    }
}

fn has_long_head(error: &reqwest::Error) -> bool {
    find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse_too_large)
}

fn no_way_through(proxy: &str) -> String {
    format!("no connection through the proxy {proxy} (fetch.proxy)")
}

fn of_tls(error: &rustls::Error, host: &str) -> String {
    use rustls::{AlertDescription, Error};
    match error {
        Error::InvalidCertificate(why) => certificate::explain(why, host),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("the server requires a client certificate; set hosts.\"{host}\".client_cert")
        }
        _ => format!("the TLS connection failed: {error}"),
    }
}

fn in_words(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectRefused => "the connection was refused",
        ErrorKind::ConnectTimeout => "the connection timed out (fetch.connect_timeout)",
        ErrorKind::ConnectFailed => "the connection failed",
        ErrorKind::TlsFailed => "the TLS connection failed",
        ErrorKind::Reset => "the connection was lost before the response",
        ErrorKind::BodyIncomplete => "the connection was lost within the body",
        ErrorKind::InvalidUrl => "the client rejected the request",
        _ => "the server sent invalid HTTP",
    }
}

fn with_cause(what: &str, error: &reqwest::Error) -> String {
    // The outermost error is only "error sending request".
    let cause = error.source().and_then(Error::source).or(error.source());
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {}", Chain(cause)))
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_lack_of_files_ports_or_memory_is_not_the_servers_fault() {
        let url = Url::parse("http://127.0.0.1/").unwrap();
        let is_starved = |errno: Errno| is_starved(&io::Error::other(io::Error::from(errno)), &url);
        for lack in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_starved(lack), "{lack}");
        }
        for fault in [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::NETUNREACH, Errno::CONNRESET] {
            assert!(!is_starved(fault), "{fault}");
        }
    }
}

//! Whether a connection resumed a TLS session (RFC 8446, section 2.2). The client does not say so. But rustls takes a session from
//! its store when it offers to resume one, and calls the certificate verifier when the server declined, or nothing was
//! offered. Store and verifier note that for the connection which is being opened.

use std::cell::Cell;
use std::future::Future;

use tokio::task_local;

/// The TLS handshake of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// It has no TLS.
    None,
    /// It resumed a session.
    Resumed,
    /// The server showed its certificate.
    Full,
}

task_local! {
    static HANDSHAKE: Cell<Handshake>;
}

impl Handshake {
    /// Opens a connection, and says which handshake it had.
    pub async fn of<T>(opening: impl Future<Output = T>) -> (T, Self) {
        HANDSHAKE.scope(Cell::new(Self::None), async { (opening.await, HANDSHAKE.with(Cell::get)) }).await
    }

    /// Notes the handshake of the connection that is being opened. The last note counts: an offer to resume looks like a
    /// resumed session until the server declines it.
    pub fn note(self) {
        let _ = HANDSHAKE.try_with(|handshake| handshake.set(self));
    }
}

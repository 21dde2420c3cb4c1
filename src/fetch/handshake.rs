//! Detects whether a connection resumed a TLS session (RFC 8446, section 2.2). reqwest does not report it. But rustls
//! takes a session from its store when it offers to resume one, and calls the certificate verifier when the server
//! declines or there was no offer. Store and verifier note this for the connection that is being opened.

use std::cell::Cell;
use std::future::Future;

use tokio::task_local;

/// The TLS handshake of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// The connection has no TLS.
    None,
    /// The connection resumed a session.
    Resumed,
    /// The server presented its certificate.
    Full,
}

task_local! {
    static HANDSHAKE: Cell<Handshake>;
}

impl Handshake {
    /// Opens a connection; returns it and its handshake.
    pub async fn of<T>(opening: impl Future<Output = T>) -> (T, Self) {
        HANDSHAKE.scope(Cell::new(Self::None), async { (opening.await, HANDSHAKE.with(Cell::get)) }).await
    }

    /// Notes the handshake of the connection that is being opened. The last note counts: an offer to resume counts as
    /// resumed until the server declines it.
    pub fn note(self) {
        let _ = HANDSHAKE.try_with(|handshake| handshake.set(self));
    }
}

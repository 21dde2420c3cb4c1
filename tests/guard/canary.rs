//! A listener that must not be called.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::common::PATIENCE;

/// The listener; it remembers who called, in the order of the calls.
pub struct Canary {
    pub address: SocketAddr,
    callers: Receiver<SocketAddr>,
}

impl Canary {
    /// Listens, in a thread that ends with the test.
    pub fn listen(ip: Ipv4Addr, port: u16) -> Self {
        let listener = TcpListener::bind((ip, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let (called, callers) = sync_channel(1 << 16);
        std::thread::spawn(move || {
            while let Ok((_, caller)) = listener.accept() {
                if called.send(caller).is_err() {
                    return;
                }
            }
        });
        Self { address, callers }
    }

    /// Calls it, and asserts that this is the first call that it hears: it does hear, and nobody has called before.
    pub fn assert_was_not_called(&self) {
        let stream = TcpStream::connect(self.address).unwrap();
        let first = self.callers.recv_timeout(PATIENCE).expect("a call is heard");
        assert_eq!(first, stream.local_addr().unwrap(), "someone else called {}", self.address);
    }
}

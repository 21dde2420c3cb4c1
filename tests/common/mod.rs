//! What the tests of the whole program share: servers that play scripts, and a driver for the real binary.

pub mod certs;
pub mod clients;
pub mod codings;
pub mod curl;
pub mod dns;
pub mod fetchd;
pub mod frames;
pub mod http2;
pub mod namespace;
pub mod origin;
pub mod pipe;
pub mod proxy;
pub mod receiver;
pub mod service_manager;
pub mod tools;
pub mod trust;

use std::time::Duration;

use tokio::sync::oneshot;

/// How long a test waits for something that must happen: far longer than it takes, for machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Lets a server do its work in a thread of its own, until what comes back is dropped.
pub fn in_a_thread(server: impl Future<Output = ()> + Send + 'static) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = server => {}
                _ = stopped => {}
            }
        });
    });
    stop
}

//! A service manager as sd_notify(3) describes it: a socket that takes messages.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tempfile::TempDir;

use super::PATIENCE;
use super::fetchd::Fetchd;

pub struct ServiceManager {
    _dir: TempDir,
    /// What `NOTIFY_SOCKET` is.
    address: String,
    socket: UnixDatagram,
}

impl ServiceManager {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self::of(dir, path.to_str().unwrap().to_owned(), socket)
    }

    /// One whose socket has no file.
    pub fn start_abstract() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().to_str().unwrap();
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        let address = format!("@{name}");
        Self::of(dir, address, socket)
    }

    fn of(dir: TempDir, address: String, socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { _dir: dir, address, socket }
    }

    /// The process as it starts it, with a watchdog of so many microseconds.
    pub fn starts(&self, fetchd: Fetchd, watchdog: &str) -> Fetchd {
        fetchd.env("NOTIFY_SOCKET", &self.address).env("WATCHDOG_USEC", watchdog)
    }

    /// The next message.
    pub fn next(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    /// Waits for a message with this line, and gives it back whole.
    pub fn hear(&self, line: &str) -> String {
        let is_it = |message: &String| message.lines().any(|one| one == line);
        std::iter::from_fn(|| self.next()).find(is_it).unwrap_or_else(|| panic!("nothing says {line}"))
    }

    /// All that was said and not heard yet.
    pub fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }
}

//! A service manager as sd_notify(3) describes it: a socket that takes messages.

use std::os::unix::net::UnixDatagram;

use tempfile::TempDir;

use super::PATIENCE;
use super::fetchd::Fetchd;

pub struct ServiceManager {
    dir: TempDir,
    socket: UnixDatagram,
}

impl ServiceManager {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { dir, socket }
    }

    /// The process as it starts it, with a watchdog of so many microseconds.
    pub fn starts(&self, fetchd: Fetchd, watchdog: &str) -> Fetchd {
        let path = self.dir.path().join("notify");
        fetchd.env("NOTIFY_SOCKET", path.to_str().unwrap()).env("WATCHDOG_USEC", watchdog)
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

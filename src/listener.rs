//! Listeners of the API and of sources: checks the path of a Unix socket, owns its file, and accepts connections.
//!
//! In: the address of `ops` or of a source. Out: connections. The permissions of a socket are set by its owner.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::error::{AtPath, BoxError};

/// A listener that no task serves yet: its connections wait.
#[derive(Debug)]
pub enum Bound {
    /// A Unix socket.
    Socket(unix::UnixListener, SocketFile),
    /// A port.
    Tcp(std::net::TcpListener),
}

impl Bound {
    /// A Unix socket that listens already.
    ///
    /// # Errors
    /// The socket cannot be made non-blocking.
    pub fn socket(listener: unix::UnixListener, file: SocketFile) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Socket(listener, file))
    }

    /// Listens at a port; `shown` names the address in errors.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub fn tcp(address: SocketAddr, shown: &str) -> Result<Self, BoxError> {
        let listener = std::net::TcpListener::bind(address)
            .map_err(|error| format!("cannot listen at {shown}: {error}; give it a port that is free"))?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }
}

/// The file of a Unix socket; removed on drop, unless another file has its path by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    /// The file of the socket that was just bound to this path.
    ///
    /// # Errors
    /// The file cannot be examined.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: fs::symlink_metadata(path)?.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Checks the path that the key `key` sets for a socket. A socket left by a killed process may be replaced.
///
/// # Errors
/// A process listens there, or the file is no socket.
pub fn reject_what_is_in_use(path: &Path, key: &str) -> Result<(), BoxError> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(AtPath::new(path, error).into()),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(format!("{shown} exists and is no socket; give {key} a path of its own").into());
        }
        Ok(_) => {}
    }
    match unix::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(AtPath::new(path, error).into()),
        Ok(_) => {
            Err(format!("another process listens at {shown}; end it, or give {key} here a path of its own").into())
        }
    }
}

/// Removes an unused socket, if it is still there.
///
/// # Errors
/// The file cannot be removed.
pub fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A connection over a Unix socket or TCP.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A listener that is served.
#[derive(Debug)]
pub enum Listener {
    /// A Unix socket.
    Socket(UnixListener, SocketFile),
    /// A port.
    Tcp(TcpListener),
}

impl Listener {
    /// Registers a bound listener with the runtime.
    ///
    /// # Errors
    /// The registration failed.
    pub fn new(bound: Bound) -> io::Result<Self> {
        Ok(match bound {
            Bound::Socket(listener, file) => Self::Socket(UnixListener::from_std(listener)?, file),
            Bound::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
        })
    }

    /// Accepts the next connection of `who`: an operator, a producer. If files or memory are short, it retries.
    pub async fn accept(&self, who: &str) -> Box<dyn Stream> {
        const MOMENT: Duration = Duration::from_millis(100);
        let mut has_warned = false;
        loop {
            let accepted: io::Result<Box<dyn Stream>> = match self {
                Self::Socket(listener, _file) => listener.accept().await.map(|(stream, _)| Box::new(stream) as _),
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    // Responses are small. If this fails, the socket is only slower.
                    let _ = stream.set_nodelay(true);
                    Box::new(stream) as _
                }),
            };
            match accepted {
                Ok(stream) => return stream,
                Err(error) => {
                    if !std::mem::replace(&mut has_warned, true) {
                        tracing::warn!(event = "not_connected", %error, "a connection of {who} cannot be accepted; retrying");
                    }
                    tokio::time::sleep(MOMENT).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_free_where_nobody_listens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.sock");
        let refusal = || reject_what_is_in_use(&path, "`socket`").map_err(|error| error.to_string());
        assert_eq!(refusal(), Ok(()));
        let live = unix::UnixListener::bind(&path).unwrap();
        let why = refusal().unwrap_err();
        assert!(why.contains("another process listens at") && why.contains("give `socket` here"), "{why}");
        drop(live);
        assert_eq!(refusal(), Ok(()), "a socket that is left may be replaced");
        (0..2).for_each(|_| remove_stale(&path).unwrap());
        fs::write(&path, "mine").unwrap();
        assert!(refusal().unwrap_err().contains("is no socket"));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_socket_that_was_replaced_is_not_removed_with_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.sock");
        let first = unix::UnixListener::bind(&path).unwrap();
        let bound = Bound::socket(first, SocketFile::at(&path).unwrap()).unwrap();
        fs::rename(&path, dir.path().join("aside")).unwrap();
        let other = unix::UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
        drop(SocketFile::at(&path).unwrap());
        assert!(!path.exists());
        drop(other);
    }
}

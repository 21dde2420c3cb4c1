//! Where producers connect: a Unix socket, or a port of a loopback address. In: the address. Out: connections.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::error::{AtPath, BoxError};

/// Who may connect to a socket: its owner and group.
const MODE: u32 = 0o660;

/// Where a source listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// A listener that no task serves yet: producers that connect wait.
#[derive(Debug)]
pub(super) enum Bound {
    Socket(unix::UnixListener, SocketFile),
    Tcp(std::net::TcpListener),
}

impl Bound {
    /// Listens at an address.
    ///
    /// # Errors
    /// When it cannot be had: another process listens there, or it is somebody else's file.
    pub fn at(address: &Address) -> Result<Self, BoxError> {
        let bound = match address {
            Address::Socket(path) => {
                let (listener, file) = SocketFile::bind(path)?;
                listener.set_nonblocking(true)?;
                tracing::info!(path = %path.display(), "listening for lines at {}", path.display());
                Self::Socket(listener, file)
            }
            Address::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address)
                    .map_err(|error| format!("cannot listen at {address}: {error}; give it a port that is free"))?;
                listener.set_nonblocking(true)?;
                tracing::info!("listening for lines at http://{}", listener.local_addr()?);
                Self::Tcp(listener)
            }
        };
        Ok(bound)
    }
}

/// The file of a Unix socket; dropped, it is gone.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    /// Listens at a path. A socket that a killed process has left there is replaced. The file has its permissions before it has
    /// its name, so nobody else can connect even for a moment.
    fn bind(path: &Path) -> Result<(unix::UnixListener, Self), BoxError> {
        let at = |error| AtPath::new(path, error);
        reject_what_is_in_use(path)?;
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error).into()),
            _ => {}
        }
        let listener = unix::UnixListener::bind(&new).map_err(at)?;
        let inode = fs::set_permissions(&new, Permissions::from_mode(MODE))
            .and_then(|()| fs::rename(&new, path))
            .and_then(|()| Ok(fs::symlink_metadata(path)?.ino()))
            .map_err(at)?;
        Ok((listener, Self { path: path.to_owned(), inode }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn reject_what_is_in_use(path: &Path) -> Result<(), BoxError> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(AtPath::new(path, error).into()),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(format!("{shown} is there and is no socket; give `socket` a path of its own").into());
        }
        Ok(_) => {}
    }
    match unix::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(AtPath::new(path, error).into()),
        Ok(_) => {
            Err(format!("another process listens at {shown}; end it, or give this source a `socket` of its own").into())
        }
    }
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A listener that is served.
pub(super) enum Listener {
    Socket(UnixListener, SocketFile),
    Tcp(TcpListener),
}

impl Listener {
    /// Begins to serve it.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(bound: Bound) -> io::Result<Self> {
        Ok(match bound {
            Bound::Socket(listener, file) => Self::Socket(UnixListener::from_std(listener)?, file),
            Bound::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
        })
    }

    /// The next connection. Where none can be had for want of files or memory, it tries again after a moment.
    pub async fn accept(&self) -> Box<dyn Stream> {
        const MOMENT: Duration = Duration::from_millis(100);
        let mut has_warned = false;
        loop {
            let accepted: io::Result<Box<dyn Stream>> = match self {
                Self::Socket(listener, _file) => listener.accept().await.map(|(stream, _)| Box::new(stream) as _),
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    // Answers are small. A socket that refuses that is only slower.
                    let _ = stream.set_nodelay(true);
                    Box::new(stream) as _
                }),
            };
            match accepted {
                Ok(stream) => return stream,
                Err(error) => {
                    if !std::mem::replace(&mut has_warned, true) {
                        tracing::warn!(event = "producer_not_connected", %error, "a producer cannot be connected for now");
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
    fn a_socket_of_a_dead_process_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.sock");
        drop(unix::UnixListener::bind(&path).unwrap());
        let address = Address::Socket(path.clone());
        let bound = Bound::at(&address).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let refused = Bound::at(&address).unwrap_err().to_string();
        assert!(refused.contains("another process listens at"), "{refused}");
        drop(bound);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "mine").unwrap();
        let refused = Bound::at(&Address::Socket(file.path().to_owned())).unwrap_err().to_string();
        assert!(refused.contains("is no socket"), "{refused}");
        assert_eq!(fs::read(file.path()).unwrap(), b"mine");
    }

    #[test]
    fn a_socket_that_was_replaced_is_not_removed_with_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.sock");
        let bound = Bound::at(&Address::Socket(path.clone())).unwrap();
        fs::rename(&path, dir.path().join("aside")).unwrap();
        let other = unix::UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
        drop(other);
    }
}

//! Where producers connect: a Unix socket, or a port of a loopback address. In: the address. Out: a listener.

use std::fmt;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::error::{AtPath, BoxError};
use crate::listener::{Bound, SocketFile, reject_what_is_in_use, remove_stale};

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

impl Address {
    /// Listens there.
    ///
    /// # Errors
    /// When it cannot be had: another process listens there, or it is somebody else's file.
    pub fn listen(&self) -> Result<Bound, BoxError> {
        match self {
            Self::Socket(path) => {
                let bound = bind(path)?;
                tracing::info!(path = %path.display(), "listening for lines at {}", path.display());
                Ok(bound)
            }
            Self::Tcp(address) => {
                let bound = Bound::tcp(*address, &address.to_string())?;
                if let Bound::Tcp(listener) = &bound {
                    tracing::info!("listening for lines at http://{}", listener.local_addr()?);
                }
                Ok(bound)
            }
        }
    }
}

/// Listens at a path. A socket that a killed process has left there is replaced. The file has its permissions before it has
/// its name, so nobody else can connect even for a moment.
fn bind(path: &Path) -> Result<Bound, BoxError> {
    let at = |error| AtPath::new(path, error);
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists()) {
        return Err(format!("the directory {} of `socket` does not exist; create it", dir.display()).into());
    }
    reject_what_is_in_use(path, "`socket`")?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    remove_stale(&new).map_err(at)?;
    let listener = UnixListener::bind(&new).map_err(at)?;
    let file = fs::set_permissions(&new, Permissions::from_mode(MODE))
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| SocketFile::at(path))
        .map_err(at)?;
    Ok(Bound::socket(listener, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_a_dead_process_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.sock");
        drop(UnixListener::bind(&path).unwrap());
        let address = Address::Socket(path.clone());
        let bound = address.listen().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let refused = address.listen().unwrap_err().to_string();
        assert!(refused.contains("another process listens at"), "{refused}");
        drop(bound);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Address::Socket(dir.path().join("run/in.sock")).listen().unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("the directory {} of `socket` does not exist; create it", dir.path().join("run").display())
        );
    }
}

//! Where operators connect: a Unix socket in a directory of its own, and a port of a loopback address for metrics. In: the
//! configuration. Out: connections.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Group;
use rustix::fs::{FlockOperation, flock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::error::{AtPath, BoxError};

/// Permissions of the socket and of its directory.
#[derive(Clone, Copy, Debug)]
enum Access {
    /// fetchd's own user, and root.
    User,
    /// This group, too.
    Group(u32),
}

impl Access {
    /// # Errors
    /// A sentence when there is no such group.
    fn of(group: Option<&str>) -> Result<Self, BoxError> {
        let Some(name) = group else { return Ok(Self::User) };
        match Group::from_name(name) {
            Ok(Some(group)) => Ok(Self::Group(group.gid.as_raw())),
            Ok(None) => {
                Err(format!("there is no group `{name}` (api.socket_group); create it, or name another").into())
            }
            Err(error) => Err(format!("the group `{name}` (api.socket_group) cannot be looked up: {error}").into()),
        }
    }

    fn group(self) -> Option<u32> {
        match self {
            Self::User => None,
            Self::Group(gid) => Some(gid),
        }
    }

    fn of_socket(self) -> u32 {
        if self.group().is_some() { 0o660 } else { 0o600 }
    }

    fn of_directory(self) -> u32 {
        if self.group().is_some() { 0o750 } else { 0o700 }
    }
}

/// A listener that no task serves yet.
#[derive(Debug)]
pub(super) enum Bound {
    Socket(unix::UnixListener, SocketFile),
    Tcp(std::net::TcpListener),
}

impl Bound {
    /// Listens at a Unix socket, which the group may use, too.
    ///
    /// # Errors
    /// When it cannot be had: another process answers there, it is somebody else's file, or its directory is open to others.
    pub fn socket(path: &Path, group: Option<&str>) -> Result<Self, BoxError> {
        let (listener, file) = SocketFile::bind(path, Access::of(group)?)?;
        listener.set_nonblocking(true)?;
        tracing::info!(path = %path.display(), "operators connect at {} (fetchd ctl --socket)", path.display());
        Ok(Self::Socket(listener, file))
    }

    /// Listens at a port for metrics.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn tcp(address: SocketAddr) -> Result<Self, BoxError> {
        let listener = std::net::TcpListener::bind(address).map_err(|error| {
            format!("cannot listen at {address} (api.metrics_listen): {error}; give it a port that is free")
        })?;
        listener.set_nonblocking(true)?;
        tracing::info!("metrics are at http://{}/metrics", listener.local_addr()?);
        Ok(Self::Tcp(listener))
    }
}

/// The file of a Unix socket; dropped, it is gone.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    /// Listens at a path. A socket that a killed process has left there is replaced. The directory's lock orders starts: of two,
    /// the second finds the first one answering.
    fn bind(path: &Path, access: Access) -> Result<(unix::UnixListener, Self), BoxError> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        prepare_directory(dir, path, access)?;
        let at_dir = |error: io::Error| AtPath::new(dir, error);
        let lock = fs::File::open(dir).map_err(at_dir)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| at_dir(errno.into()))?;
        remove_stale(path)?;
        let at = |error| AtPath::new(path, error);
        let listener = unix::UnixListener::bind(path).map_err(at)?;
        let file = Self { path: path.to_owned(), inode: fs::symlink_metadata(path).map_err(at)?.ino() };
        if let Some(gid) = access.group() {
            chown(path, None, Some(gid)).map_err(at)?;
        }
        fs::set_permissions(path, Permissions::from_mode(access.of_socket())).map_err(at)?;
        Ok((listener, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates the directory of the socket, or looks at who may enter it: between the creation of a socket and its permissions
/// nobody else must reach it.
fn prepare_directory(dir: &Path, socket: &Path, access: Access) -> Result<(), BoxError> {
    let at = |error| AtPath::new(dir, error);
    let mode = access.of_directory();
    match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => return Ok(give_directory(dir, access).map_err(at)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = dir.parent().unwrap_or(dir).display();
            return Err(format!(
                "the directory {parent} of api.socket is not there; create it, or give api.socket another path"
            )
            .into());
        }
        Err(error) => return Err(at(error).into()),
    }
    let found = fs::metadata(dir).map_err(at)?;
    if !found.is_dir() {
        return Err(format!("{} is no directory; give api.socket another path", dir.display()).into());
    }
    let has_group = access.group().is_none_or(|gid| gid == found.gid());
    if found.mode() & 0o777 & !mode == 0 && has_group && (found.mode() & 0o777 == mode || access.group().is_none()) {
        return Ok(());
    }
    let is_its_own = fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| Some(entry.file_name().as_os_str()) == socket.file_name()))
    });
    if is_its_own && found.mode() & 0o007 == 0 && access.group().is_some() && give_directory(dir, access).is_ok() {
        return Ok(());
    }
    let (shown, group) =
        (dir.display(), access.group().map(|gid| format!("chgrp {gid} {dir} && ", dir = dir.display())));
    Err(format!(
        "the directory {shown} of api.socket is open to other users; give the socket a directory of its own, or run: {}chmod {mode:o} {shown}",
        group.unwrap_or_default()
    )
    .into())
}

/// Gives the directory its group and permissions.
fn give_directory(dir: &Path, access: Access) -> io::Result<()> {
    if let Some(gid) = access.group() {
        chown(dir, None, Some(gid))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(access.of_directory()))
}

/// Removes a socket at which nobody answers.
fn remove_stale(path: &Path) -> Result<(), BoxError> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(AtPath::new(path, error).into()),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(format!("{shown} is there and is no socket; give api.socket a path of its own").into());
        }
        Ok(_) => {}
    }
    match unix::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(fs::remove_file(path).map_err(|error| AtPath::new(path, error))?)
        }
        Err(error) => Err(AtPath::new(path, error).into()),
        Ok(_) => {
            Err(format!("another process answers at {shown}; end it, or give this one an api.socket of its own").into())
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
                        tracing::warn!(%error, "an operator cannot be connected for now");
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

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    /// A directory for a socket.
    fn place() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    /// The name of a group of this process.
    fn own_group() -> Option<String> {
        let group = Group::from_gid(nix::unistd::getegid()).unwrap();
        group.map(|group| group.name)
    }

    #[test]
    fn a_socket_is_for_its_user_alone_in_a_directory_that_is_created_for_it() {
        let dir = place();
        let path = dir.path().join("api/api.sock");
        let bound = Bound::socket(&path, None).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(bound);
        assert!(!path.exists(), "the end removes it");
    }

    #[test]
    fn a_group_may_enter_if_it_is_named() {
        let Some(group) = own_group() else { return };
        let dir = place();
        let path = dir.path().join("api.sock");
        let _bound = Bound::socket(&path, Some(&group)).unwrap();
        assert_eq!((mode(&path), mode(dir.path())), (0o660, 0o750), "an empty directory is opened to it");
        let refused = Bound::socket(&path, Some("no-such-group-")).unwrap_err().to_string();
        assert!(refused.contains("there is no group `no-such-group-`"), "{refused}");
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused_with_the_command_that_closes_it() {
        let dir = place();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        for group in [None, own_group().as_deref()] {
            let refused = Bound::socket(&dir.path().join("api.sock"), group).unwrap_err().to_string();
            assert!(refused.contains("is open to other users") && refused.contains("chmod 7"), "{refused}");
            assert_eq!(mode(dir.path()), 0o755, "it stays as it is");
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let dir = place();
        let refused = Bound::socket(&dir.path().join("a/b/api.sock"), None).unwrap_err().to_string();
        assert!(refused.contains("is not there; create it"), "{refused}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_one_that_answers_is_not() {
        let dir = place();
        let path = dir.path().join("api.sock");
        drop(unix::UnixListener::bind(&path).unwrap());
        let bound = Bound::socket(&path, None).unwrap();
        let refused = Bound::socket(&path, None).unwrap_err().to_string();
        assert!(refused.contains("another process answers at"), "{refused}");
        drop(bound);
        fs::write(&path, "mine").unwrap();
        let refused = Bound::socket(&path, None).unwrap_err().to_string();
        assert!(refused.contains("is no socket"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn of_many_starts_at_once_one_gets_the_socket() {
        let dir = place();
        let path = dir.path().join("api.sock");
        for _ in 0..20 {
            drop(unix::UnixListener::bind(&path));
            let bound: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| Bound::socket(&path, None).ok())).collect();
                starts.into_iter().filter_map(|start| start.join().unwrap()).collect()
            });
            assert_eq!(bound.len(), 1);
        }
    }
}

//! The listeners of the API: a Unix socket in a directory of its own, and a loopback port for metrics.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::unistd::Group;
use rustix::fs::{FlockOperation, flock};

use crate::error::{AtPath, BoxError};
use crate::listener::{Bound, SocketFile, reject_what_is_in_use, remove_stale};

/// Who may use the socket and its directory.
#[derive(Clone, Copy, Debug)]
enum Access {
    /// The user that runs fetchd, and root.
    User,
    /// Also the members of this group.
    Group(u32),
}

impl Access {
    /// # Errors
    /// A sentence if there is no such group.
    fn of(group: Option<&str>) -> Result<Self, BoxError> {
        let Some(name) = group else { return Ok(Self::User) };
        match Group::from_name(name) {
            Ok(Some(group)) => Ok(Self::Group(group.gid.as_raw())),
            Ok(None) => {
                Err(format!("there is no group `{name}` (api.socket_group); create it, or name another group").into())
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

/// Listens at a Unix socket, which the group may use, too.
///
/// # Errors
/// If another process listens there, the path is not a socket, or other users may enter its directory.
pub(super) fn socket(path: &Path, group: Option<&str>) -> Result<Bound, BoxError> {
    let bound = bind(path, Access::of(group)?)?;
    tracing::info!(path = %path.display(), "operators connect at {} (fetchd ctl --socket)", path.display());
    Ok(bound)
}

/// Listens at a TCP port for metrics.
///
/// # Errors
/// If the port is in use.
pub(super) fn port(address: SocketAddr) -> Result<Bound, BoxError> {
    let bound = Bound::tcp(address, &format!("{address} (api.metrics_listen)"))?;
    if let Bound::Tcp(listener) = &bound {
        tracing::info!("metrics are at http://{}/metrics", listener.local_addr()?);
    }
    Ok(bound)
}

/// Listens at a path, and replaces a socket that a killed process has left there. A lock on the directory serializes
/// starts: the second one finds the first one listening.
fn bind(path: &Path, access: Access) -> Result<Bound, BoxError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    prepare_directory(dir, path, access)?;
    let at_dir = |error: io::Error| AtPath::new(dir, error);
    let lock = fs::File::open(dir).map_err(at_dir)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|errno| at_dir(errno.into()))?;
    reject_what_is_in_use(path, "api.socket")?;
    let at = |error| AtPath::new(path, error);
    remove_stale(path).map_err(at)?;
    let listener = UnixListener::bind(path).map_err(at)?;
    let file = SocketFile::at(path).map_err(at)?;
    if let Some(gid) = access.group() {
        chown(path, None, Some(gid)).map_err(at)?;
    }
    fs::set_permissions(path, Permissions::from_mode(access.of_socket())).map_err(at)?;
    Ok(Bound::socket(listener, file)?)
}

/// Creates the directory of the socket, or checks who may enter it: other users must not reach the socket between its
/// creation and the setting of its permissions.
fn prepare_directory(dir: &Path, socket: &Path, access: Access) -> Result<(), BoxError> {
    let at = |error| AtPath::new(dir, error);
    let mode = access.of_directory();
    match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => return Ok(give_directory(dir, access).map_err(at)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = dir.parent().unwrap_or(dir).display();
            return Err(format!(
                "the directory {parent} of api.socket does not exist; create it, or give api.socket another path"
            )
            .into());
        }
        Err(error) => return Err(at(error).into()),
    }
    let found = fs::metadata(dir).map_err(at)?;
    if !found.is_dir() {
        return Err(format!("{} is not a directory; give api.socket another path", dir.display()).into());
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

/// Sets the group and permissions of the directory.
fn give_directory(dir: &Path, access: Access) -> io::Result<()> {
    if let Some(gid) = access.group() {
        chown(dir, None, Some(gid))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(access.of_directory()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    /// A temporary directory for a socket.
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
        let bound = socket(&path, None).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(bound);
        assert!(!path.exists(), "the end removes it");
    }

    #[test]
    fn a_group_may_enter_if_it_is_named() {
        let Some(group) = own_group() else { return };
        let dir = place();
        let path = dir.path().join("api.sock");
        let _bound = socket(&path, Some(&group)).unwrap();
        assert_eq!((mode(&path), mode(dir.path())), (0o660, 0o750), "an empty directory is opened to it");
        let refused = socket(&path, Some("no-such-group-")).unwrap_err().to_string();
        assert!(refused.contains("there is no group `no-such-group-`"), "{refused}");
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused_with_the_command_that_closes_it() {
        let dir = place();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        for group in [None, own_group().as_deref()] {
            let refused = socket(&dir.path().join("api.sock"), group).unwrap_err().to_string();
            assert!(refused.contains("is open to other users") && refused.contains("chmod 7"), "{refused}");
            assert_eq!(mode(dir.path()), 0o755, "it stays as it is");
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let dir = place();
        let refused = socket(&dir.path().join("a/b/api.sock"), None).unwrap_err().to_string();
        assert!(refused.contains("does not exist; create it"), "{refused}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_one_that_answers_is_not() {
        let dir = place();
        let path = dir.path().join("api.sock");
        drop(UnixListener::bind(&path).unwrap());
        let bound = socket(&path, None).unwrap();
        let refused = socket(&path, None).unwrap_err().to_string();
        assert!(refused.contains("another process listens at"), "{refused}");
        drop(bound);
        fs::write(&path, "mine").unwrap();
        let refused = socket(&path, None).unwrap_err().to_string();
        assert!(refused.contains("is no socket"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn of_many_starts_at_once_one_gets_the_socket() {
        let dir = place();
        let path = dir.path().join("api.sock");
        for _ in 0..20 {
            drop(UnixListener::bind(&path));
            let bound: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| socket(&path, None).ok())).collect();
                starts.into_iter().filter_map(|start| start.join().unwrap()).collect()
            });
            assert_eq!(bound.len(), 1);
        }
    }
}

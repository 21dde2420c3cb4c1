//! The real file system.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

use super::{Disk, DiskFile, FileId, Mode, SyncPoint};

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        // Checked first because opening a device can have side effects.
        if let Ok(metadata) = path.metadata() {
            check_is_regular(&metadata)?;
        }
        Ok(Arc::new(Open::new(open_at_once(path, mode)?)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        let metadata = fs::metadata(path)?;
        Ok(FileId { device: metadata.dev(), inode: metadata.ino() })
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path, _point: SyncPoint) -> io::Result<()> {
        // The parent of a relative path of one component.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        let space = rustix::fs::statvfs(dir)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// Opens a file without blocking, even if it was replaced by a FIFO since the check.
fn open_at_once(path: &Path, mode: Mode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match mode {
        Mode::Read => options.read(true),
        Mode::Append => options.read(true).append(true).create(true),
    };
    let at_once = options.clone().custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    match at_once {
        // Another process has a lease on the file (fcntl(2)); a blocking open waits for its release.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => options.open(path),
        opened => opened,
    }
}

/// Checks that the file is regular; the error names its type.
fn check_is_regular(metadata: &Metadata) -> io::Result<()> {
    let is = metadata.file_type();
    let what = match () {
        () if is.is_file() => return Ok(()),
        () if is.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        () if is.is_fifo() => "a FIFO",
        () if is.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::other(format!("it is {what}, not a regular file")))
}

#[derive(Debug)]
struct Open {
    file: File,
    id: FileId,
}

impl Open {
    fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        check_is_regular(&metadata)?;
        Ok(Self { id: FileId { device: metadata.dev(), inode: metadata.ino() }, file })
    }
}

impl DiskFile for Open {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &self.file, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn free_start(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        match fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            freed => Ok(freed?),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync(&self, _point: SyncPoint) -> io::Result<()> {
        self.file.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn id(&self) -> FileId {
        self.id
    }

    fn has_name(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode as Bits;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_is_not_a_regular_file_is_refused_at_once_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        mkfifo(&at("fifo"), Bits::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink("loop", at("loop")).unwrap();
        fs::write(at("file"), "").unwrap();
        for (name, said) in [
            ("fifo", "it is a FIFO"),
            ("socket", "it is a socket"),
            ("device", "it is a device"),
            ("directory", "is a directory"),
            ("loop", "symbolic links"),
            ("file/below", "Not a directory"),
        ] {
            for mode in [Mode::Read, Mode::Append] {
                let error = RealDisk.open(&at(name), mode).unwrap_err().to_string();
                assert!(error.contains(said), "{name} {mode:?}: {error}");
            }
        }
        // A FIFO that replaces the file after the check.
        assert!(Open::new(open_at_once(&at("fifo"), Mode::Read).unwrap()).is_err());
    }
}

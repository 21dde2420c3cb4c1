//! Log rotation: the file at a path, and the files next to it that may have been there before.

use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::generation::Generation;
use super::rotated_name::{Direction, Place, RotatedName};
use crate::disk::{Disk, DiskFile, FileId, Mode, RealDisk};

/// Opens the regular file at a path, if there is one.
///
/// # Errors
/// When opening fails, or the file is not regular: others cannot be read twice.
pub(super) fn open(path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
    // Checked before it is opened, because opening a pipe waits for its writer.
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => return Err(io::Error::other("it is not a regular file, and only those are followed and remembered")),
        Err(error) => return absent(error),
    }
    RealDisk.open(path, Mode::Read).map(Some).or_else(absent)
}

/// Opens the regular file at a path, if there is one, with its status.
///
/// # Errors
/// When opening fails, or names change faster than they can be read.
pub(super) fn open_with_status(path: &Path) -> io::Result<Option<(Arc<dyn DiskFile>, Status)>> {
    for _ in 0..TRIES {
        let Some(status) = Status::at(path)? else { return Ok(None) };
        let Some(file) = open(path)? else { return Ok(None) };
        if file.id() == status.id {
            return Ok(Some((file, status)));
        }
    }
    Err(too_fast())
}

/// How often changing names are read.
const TRIES: usize = 8;

/// Two changes within this time may have the same timestamp.
const COARSE: Duration = Duration::from_secs(3);

pub(super) fn too_fast() -> io::Error {
    io::Error::other("the files next to it are renamed faster than they can be listed")
}

/// The metadata of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// Its device and inode.
    pub id: FileId,
    /// When it was written to last, in nanoseconds since 1970.
    pub modified: i64,
    /// Its bytes.
    pub length: u64,
}

impl Status {
    /// The status of the file at a path, if there is one.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        path.metadata().map(|metadata| Some(Self::of(&metadata))).or_else(absent)
    }

    fn of(metadata: &fs::Metadata) -> Self {
        let modified = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { id: FileId { device: metadata.dev(), inode: metadata.ino() }, modified, length: metadata.len() }
    }
}

fn absent<T>(error: io::Error) -> io::Result<Option<T>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
}

/// A file next to a path.
#[derive(Clone, Debug)]
pub(super) struct Sibling {
    path: PathBuf,
    pub status: Status,
    name: Option<RotatedName>,
}

impl Sibling {
    /// Opens the file; `None` if its name belongs to another file by now.
    pub fn open(&self) -> io::Result<Option<Arc<dyn DiskFile>>> {
        Ok(open(&self.path)?.filter(|file| file.id() == self.status.id))
    }
}

/// The files next to a path that may be its earlier generations: files with the name of a rotated file, and files with
/// certain inodes, whatever their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Siblings(Vec<Sibling>);

impl Siblings {
    /// Reads the directory of a path and, for a symbolic link, that of its target.
    ///
    /// # Errors
    /// When reading fails, or names change faster than they can be read.
    pub fn of(path: &Path, inodes: &[u64]) -> io::Result<Self> {
        // Names may change while they are read, so two equal listings are needed.
        let mut siblings = Self::read(path, inodes)?;
        for _ in 0..TRIES {
            let before = std::mem::replace(&mut siblings, Self::read(path, inodes)?);
            if before.is_as(&siblings) {
                return Ok(siblings);
            }
        }
        Err(too_fast())
    }

    fn read(path: &Path, inodes: &[u64]) -> io::Result<Self> {
        let mut all = Vec::new();
        for path in with_target(path) {
            read_directory(&path, inodes, &mut all)?;
        }
        let here = Status::at(path)?.map(|status| status.id);
        all.retain(|sibling| Some(sibling.status.id) != here);
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self(all))
    }

    /// Whether both have the same names for the same files.
    pub fn is_as(&self, other: &Self) -> bool {
        let names = |siblings: &Self| siblings.0.iter().map(|s| (s.path.clone(), s.status.id)).collect::<Vec<_>>();
        names(self) == names(other)
    }

    /// The files with this inode.
    pub fn with_inode(&self, inode: u64) -> impl Iterator<Item = &Sibling> {
        self.0.iter().filter(move |sibling| sibling.status.id.inode == inode)
    }

    /// The file with this identity.
    pub fn get(&self, id: FileId) -> Option<&Sibling> {
        self.0.iter().find(|sibling| sibling.status.id == id)
    }

    /// The files with the name of a rotated file, by the time of their last write; by name if the times are equal.
    ///
    /// A name with the number before the extension (`in-0001.txt`) counts only if a known generation has such a name:
    /// otherwise it may as well be an independent file.
    pub fn rotated(&self, is_known: impl Fn(FileId) -> bool) -> Vec<&Sibling> {
        let infix = |sibling: &Sibling| sibling.name.as_ref().is_some_and(|name| name.place == Place::BeforeExtension);
        let are_infix = self.0.iter().any(|sibling| infix(sibling) && is_known(sibling.status.id));
        let named = self.0.iter().filter_map(|sibling| Some((sibling, sibling.name.as_ref()?)));
        let mut rotated: Vec<_> = named.filter(|(sibling, _)| are_infix || !infix(sibling)).collect();
        let times: Vec<_> = rotated.iter().map(|(sibling, name)| (*name, sibling.status.modified)).collect();
        let direction = Direction::of(&times);
        rotated.sort_by(|(a, a_name), (b, b_name)| {
            a.status.modified.cmp(&b.status.modified).then_with(|| direction.compare(a_name, b_name))
        });
        rotated.into_iter().map(|(sibling, _)| sibling).collect()
    }

    /// The files that were at the path after all known ones, from the oldest to the newest: they have names of rotated
    /// files, and were written to no earlier than the newest known file. `open` are to be read, `left` are not.
    ///
    /// # Errors
    /// When reading fails, or a file was renamed meanwhile.
    pub fn unseen(
        &self,
        open: &[FileId],
        left: &[Generation],
        since: Option<i64>,
    ) -> io::Result<Vec<(Arc<dyn DiskFile>, Status)>> {
        let Some(since) = since else { return Ok(Vec::new()) };
        let is_open = |id: FileId| open.contains(&id);
        let rotated = self.rotated(|id| is_open(id) || left.iter().any(|generation| generation.file == id));
        let mut unseen = Vec::new();
        for sibling in rotated.into_iter().filter(|s| s.status.modified >= since && !is_open(s.status.id)) {
            let file = sibling.open()?.ok_or_else(too_fast)?;
            let mut is_left = false;
            for generation in left.iter().filter(|generation| generation.file == file.id()) {
                is_left |= generation.is_still(file.as_ref())?;
            }
            if !is_left {
                unseen.push((file, sibling.status));
            }
        }
        Ok(unseen)
    }
}

/// Whether names next to a path may have changed since `before`, which is updated. A recent time is no proof, because
/// timestamps of file systems are coarse.
pub(super) fn may_have_changed(path: &Path, before: &mut Vec<SystemTime>) -> io::Result<bool> {
    let times = with_target(path).into_iter().map(|path| directory(&path).metadata()?.modified());
    let times = times.collect::<io::Result<Vec<_>>>()?;
    let is_settled = times.iter().all(|time| time.elapsed().is_ok_and(|elapsed| elapsed > COARSE));
    Ok(std::mem::replace(before, if is_settled { times.clone() } else { Vec::new() }) != times || !is_settled)
}

/// A path and, for a symbolic link, its target.
fn with_target(path: &Path) -> Vec<PathBuf> {
    let target = if path.is_symlink() { path.canonicalize().ok() } else { None };
    std::iter::once(path.to_owned()).chain(target).collect()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read_directory(path: &Path, inodes: &[u64], all: &mut Vec<Sibling>) -> io::Result<()> {
    let dir = directory(path);
    let Some(own) = path.file_name() else { return Ok(()) };
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = RotatedName::of(own, &entry.file_name());
        if entry.file_name() == own || !(name.is_some() || inodes.contains(&entry.ino())) {
            continue;
        }
        // The file may have been deleted meanwhile.
        let Some(metadata) = entry.metadata().map(Some).or_else(absent)?.filter(fs::Metadata::is_file) else {
            continue;
        };
        let status = Status::of(&metadata);
        if all.iter().all(|sibling: &Sibling| sibling.status.id != status.id) {
            all.push(Sibling { path: entry.path(), status, name });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates files whose last writes are this far apart; returns them in the order in which they are found.
    fn rotated(names: &[&str], apart: Duration, known: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let begin = SystemTime::now();
        for (name, n) in names.iter().zip(0..) {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(begin + apart * n).unwrap();
        }
        let path = dir.path().join("a.txt");
        let known = Status::at(&dir.path().join(known)).unwrap().map(|status| status.id);
        let siblings = Siblings::of(&path, &[]).unwrap();
        let name = |sibling: &&Sibling| sibling.path.file_name().unwrap().to_str().unwrap().to_owned();
        siblings.rotated(|id| Some(id) == known).iter().map(name).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn rotated_files_come_in_the_order_of_their_last_writes_whatever_their_numbers_say() {
        for names in [
            ["a.txt.1", "a.txt.2", "a.txt.10"],
            ["a.txt.10", "a.txt.2", "a.txt.1"],
            ["a.txt.2", "a.txt-20261126", "a.txt.1"],
        ] {
            assert_eq!(rotated(&names, SECOND, "none"), names);
        }
    }

    #[test]
    fn of_files_that_were_written_to_at_the_same_time_the_names_tell() {
        let now = Duration::ZERO;
        assert_eq!(rotated(&["a.txt.1", "a.txt.10", "a.txt.2"], now, "none"), ["a.txt.10", "a.txt.2", "a.txt.1"]);
        let dated = ["a.txt-20261102", "a.txt-20261031", "a.txt-20261031-2"];
        assert_eq!(rotated(&dated, now, "none"), ["a.txt-20261031", "a.txt-20261031-2", "a.txt-20261102"]);
        assert_eq!(rotated(&["a-10.txt", "a-9.txt"], now, "a-9.txt"), ["a-9.txt", "a-10.txt"]);
    }

    #[test]
    fn other_names_are_of_other_files() {
        let names =
            ["a.txt", "a.txt.1.gz", "a.txt.old", "b.txt.1", "a.txt.1", "a-1.txt", "ab.txt", "a.txt.", "a.txt.x1"];
        assert_eq!(rotated(&names, SECOND, "none"), ["a.txt.1"]);
        assert_eq!(rotated(&names, SECOND, "a-1.txt"), ["a.txt.1", "a-1.txt"]);
    }

    #[test]
    fn the_rotated_files_of_a_symbolic_link_are_next_to_its_target() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("pod"), dir.path().join("links"));
        fs::create_dir(&target).unwrap();
        fs::create_dir(&link).unwrap();
        for name in ["0.log", "0.log.20261126-101500"] {
            fs::write(target.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(target.join("0.log"), link.join("urls")).unwrap();
        let siblings = Siblings::of(&link.join("urls"), &[]).unwrap();
        assert_eq!(siblings.rotated(|_| false).len(), 1);
    }
}

//! The machine's disk, as the program under test sees it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use fetchd::disk::{Disk, DiskFile, FileId, Mode, SyncPoint};

use super::machine::{Change, File, Machine, Naming, Node, Number};
use super::sync_points::{Fault, name};

/// The number of the only device.
const DEVICE: u64 = 7;

#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<Machine>>);

impl SimDisk {
    /// The disk of this machine, which a program may now use.
    pub fn boot(machine: Machine) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    pub fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().expect("nobody panics with it")
    }

    fn find(machine: &mut Machine, path: &Path, mode: Mode) -> io::Result<Number> {
        match (machine.lookup(path), mode) {
            (Err(error), Mode::Append) if error.kind() == io::ErrorKind::NotFound => {
                machine.begin_whole(|| format!("create {}", path.display()))?;
                let (dir, name) = machine.split(path)?;
                Ok(machine.create(dir, name, Node::File(File::default())))
            }
            (found, _) => found,
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        let mut machine = self.machine();
        machine.alive()?;
        let number = Self::find(&mut machine, path, mode)?;
        if let Some(Node::Dir(_)) = machine.nodes.get(&number) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        machine.handles += 1;
        *machine.open.entry(number).or_default() += 1;
        let name = path.display().to_string();
        Ok(Arc::new(Handle { disk: self.clone(), number, handle: machine.handles, name, mode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.begin_whole(|| format!("rename {} to {}", from.display(), to.display()))?;
        let number = machine.lookup(from)?;
        let ((dir, from), (other, to)) = (machine.split(from)?, machine.split(to)?);
        assert_eq!(dir, other, "a rename stays in its directory");
        if from != to {
            machine.dir_mut(dir).change(Naming::Rename(from, to, number));
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.alive()?;
        machine.lookup(path)?;
        machine.begin_whole(|| format!("remove {}", path.display()))?;
        let (dir, name) = machine.split(path)?;
        machine.dir_mut(dir).change(Naming::Remove(name));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let machine = self.machine();
        machine.alive()?;
        let names = &machine.dir(machine.lookup(dir)?)?.seen;
        let files = names.iter().filter(|(_, number)| matches!(machine.nodes.get(number), Some(Node::File(_))));
        Ok(files.map(|(name, _)| dir.join(name)).collect())
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        let machine = self.machine();
        machine.alive()?;
        Ok(FileId { device: DEVICE, inode: machine.lookup(path)? })
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.alive()?;
        machine.create_dirs(dir)
    }

    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()> {
        let mut machine = self.machine();
        machine.begin_whole(|| format!("sync_dir {} ({})", dir.display(), name(point)))?;
        let number = machine.lookup(dir)?;
        machine.dir(number)?;
        if machine.fails(point) {
            return Err(broken());
        }
        if machine.fault != Fault::Ignored(point) {
            machine.dir_mut(number).keep();
        }
        Ok(())
    }

    fn free(&self, _dir: &Path) -> io::Result<u64> {
        let machine = self.machine();
        machine.alive()?;
        Ok(machine.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(machine.used()) as u64))
    }
}

/// `EIO`
fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    number: Number,
    handle: u64,
    name: String,
    mode: Mode,
}

impl DiskFile for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let machine = self.disk.machine();
        machine.alive()?;
        let seen = &machine.file(self.number).seen;
        let rest = seen.get(usize::try_from(offset).expect("files are small")..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut machine = self.disk.machine();
        assert_eq!(self.mode, Mode::Append, "{} was opened to be read", self.name);
        let part = machine.begin(|| format!("append {} +{}", self.name, bytes.len()))?;
        let room = machine.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(machine.used()));
        let n = (bytes.len() * part.unwrap_or(100) / 100).min(room);
        if n > 0 {
            machine.file_mut(self.number).change(Change::Append(bytes[..n].to_vec()));
        }
        machine.alive()?;
        if n == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(n) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut machine = self.disk.machine();
        assert_eq!(self.mode, Mode::Append, "{} was opened to be read", self.name);
        machine.begin_whole(|| format!("set_len {} {len}", self.name))?;
        let (len, file) = (usize::try_from(len).expect("files are small"), machine.file_mut(self.number));
        if file.seen.len() != len {
            file.change(Change::SetLen(len));
        }
        Ok(())
    }

    fn free_start(&self, _bytes: u64) -> io::Result<()> {
        // Only deleted files need it.
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let machine = self.disk.machine();
        machine.alive()?;
        Ok(machine.file(self.number).seen.len() as u64)
    }

    fn sync(&self, point: SyncPoint) -> io::Result<()> {
        let mut machine = self.disk.machine();
        machine.begin_whole(|| format!("sync {} ({})", self.name, name(point)))?;
        let (fails, is_ignored) = (machine.fails(point), machine.fault == Fault::Ignored(point));
        let file = machine.file_mut(self.number);
        if fails {
            file.is_poisoned = true;
            return Err(broken());
        }
        if !is_ignored && !file.is_poisoned {
            file.kept.clone_from(&file.seen);
            file.pending.clear();
        }
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut machine = self.disk.machine();
        machine.alive()?;
        Ok(*machine.locks.entry(self.number).or_insert(self.handle) == self.handle)
    }

    fn id(&self) -> FileId {
        FileId { device: DEVICE, inode: self.number }
    }

    fn has_name(&self) -> io::Result<bool> {
        // Nobody else deletes files here.
        Ok(true)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut machine = self.disk.machine();
        if machine.locks.get(&self.number) == Some(&self.handle) {
            machine.locks.remove(&self.number);
        }
        if let Some(open) = machine.open.get_mut(&self.number) {
            *open -= 1;
            if *open == 0 {
                machine.open.remove(&self.number);
            }
        }
    }
}

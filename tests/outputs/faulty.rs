//! A disk on which writing fails as a test says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fetchd::disk::{Disk, DiskFile, FileId, Mode, RealDisk, Site};
use fetchd::sink::{Compress, Kept};

use crate::scene::{Scene, append, flush, record, seqs};

/// What the next attempts to append do; when none is left, they work.
type Plan = Arc<Mutex<Vec<Fault>>>;

/// A part of the bytes is written, and then this is said.
#[derive(Clone, Copy, Debug)]
struct Fault {
    written: usize,
    kind: io::ErrorKind,
}

#[derive(Debug, Default)]
struct Faulty(Plan);

#[derive(Debug)]
struct FaultyFile(Arc<dyn DiskFile>, Plan);

impl Disk for Faulty {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FaultyFile(RealDisk.open(path, mode)?, Arc::clone(&self.0))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        RealDisk.sync_dir(dir, site)
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free(dir)
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut plan = self.1.lock().unwrap();
        match plan.pop() {
            // As a full disk does it: first less than all is written, and the next attempt fails.
            Some(Fault { written, kind }) if written > 0 => {
                plan.push(Fault { written: 0, kind });
                self.0.append(&bytes[..written.min(bytes.len() - 1)])
            }
            Some(Fault { kind, .. }) => Err(kind.into()),
            None => self.0.append(bytes),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn sync(&self, site: Site) -> io::Result<()> {
        self.0.sync(site)
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }

    fn id(&self) -> FileId {
        self.0.id()
    }
}

fn with_faults() -> (Scene, Plan) {
    let disk = Faulty::default();
    let plan = Arc::clone(&disk.0);
    (Scene::on(Arc::new(disk)), plan)
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_lost_or_there_twice() {
    for (compress, name) in [(Compress::None, "out"), (Compress::Zstd, "out-000001.zst.part")] {
        let (scene, plan) = with_faults();
        let mut opened = scene.open(&scene.sink("out", |jsonl| jsonl.compress = compress), Kept::New);
        append(&mut opened, &record(1));
        flush(&mut opened);
        for (written, kind) in [(0, io::ErrorKind::StorageFull), (9, io::ErrorKind::QuotaExceeded)] {
            plan.lock().unwrap().push(Fault { written, kind });
        }
        append(&mut opened, &(record(2) + &record(3)));
        flush(&mut opened);
        assert!(plan.lock().unwrap().is_empty());
        assert_eq!(seqs(&scene.text(name)), [1, 2, 3]);
    }
}

#[test]
fn a_broken_disk_is_an_error_at_once_and_the_torn_record_is_cut_back() {
    let (scene, plan) = with_faults();
    let mut opened = scene.open(&scene.sink("out", |_| {}), Kept::New);
    append(&mut opened, &record(1));
    plan.lock().unwrap().push(Fault { written: 9, kind: io::ErrorKind::Other });
    let error = opened.core().unwrap().0.append(record(2).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert_eq!(scene.text("out"), record(1));
}

//! What people do to an output while it waits for room on a full disk: they delete it, move it away, link its path to
//! another disk. Each record is in one file then, once, unless it was flushed and deleted.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use fetchd::disk::{OutputPosition, RegisterOutputFile};
use fetchd::error::BoxError;
use fetchd::output::{Compress, SavedPosition};
use fetchd::sink::OpenedSink;

use crate::scenario::{Scenario, append, flush, record, recover, seqs, text};
use crate::tampered::{Tamper, Tampered};

/// What is done while an attempt to append fails.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Delete,
    Rename,
    /// The path leads to another directory afterwards.
    Link,
    /// The process is killed.
    Kill,
}

/// What the next attempts to append do, once something is said here; when nothing is left, they work.
#[derive(Debug)]
struct Plan {
    path: PathBuf,
    /// So many bytes are written, and then there is no room.
    attempts: Mutex<VecDeque<(usize, Change)>>,
    /// Whether the part of an attempt was written.
    is_amid: Mutex<bool>,
    changes: Mutex<usize>,
    /// Bytes that are free on the disk.
    free: Mutex<Option<u64>>,
}

impl Plan {
    fn new(path: PathBuf) -> Arc<Self> {
        let (attempts, is_amid, changes, free) = <_>::default();
        Arc::new(Self { path, attempts, is_amid, changes, free })
    }

    fn change(&self, change: Change) {
        let mut number = self.changes.lock().unwrap();
        *number += 1;
        let beside = self.path.with_file_name(format!("moved-{number}"));
        // What is not there any more stays so.
        let _ = match change {
            Change::Nothing | Change::Kill => Ok(()),
            Change::Delete => fs::remove_file(&self.path),
            Change::Rename => fs::rename(&self.path, beside),
            Change::Link => {
                let elsewhere = self.path.parent().unwrap().join(format!("elsewhere-{number}"));
                fs::create_dir(&elsewhere).unwrap();
                let _ = fs::rename(&self.path, beside);
                symlink(elsewhere.join("linked"), &self.path)
            }
        };
    }
}

impl Tamper for Plan {
    fn append(&self, bytes: usize) -> io::Result<usize> {
        let mut is_amid = self.is_amid.lock().unwrap();
        let mut attempts = self.attempts.lock().unwrap();
        match attempts.front() {
            Some((written, _)) if *written > 0 && bytes > 1 && !*is_amid => {
                *is_amid = true;
                Ok((*written).min(bytes - 1))
            }
            Some((_, change)) => {
                self.change(*change);
                *is_amid = false;
                let is_killed = matches!(change, Change::Kill);
                attempts.pop_front();
                Err(if is_killed { io::ErrorKind::Other } else { io::ErrorKind::StorageFull }.into())
            }
            None => Ok(bytes),
        }
    }

    fn free(&self) -> Option<u64> {
        *self.free.lock().unwrap()
    }
}

/// The files that were registered.
#[derive(Debug, Default)]
struct Registry {
    positions: Mutex<Vec<OutputPosition>>,
    /// A file, and the blocks that it has of the disk whenever another one is registered.
    watched: Mutex<Option<File>>,
    blocks: Mutex<Vec<u64>>,
}

impl RegisterOutputFile for Registry {
    fn register(&self, _sink: &str, position: OutputPosition) -> Result<(), BoxError> {
        self.positions.lock().unwrap().push(position);
        if let Some(file) = &*self.watched.lock().unwrap() {
            self.blocks.lock().unwrap().push(file.metadata().unwrap().blocks());
        }
        Ok(())
    }
}

struct Waiting {
    scenario: Scenario,
    plan: Arc<Plan>,
    registry: Arc<Registry>,
    compress: Compress,
    opened: OpenedSink,
    /// Where the checkpoint has the output.
    flushed: OutputPosition,
}

impl Waiting {
    /// The first record is flushed, and the second is not.
    fn new(compress: Compress) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = if compress == Compress::None { "out" } else { "out-000001.gz.part" };
        let plan = Plan::new(dir.path().join(name));
        let mut scenario = Scenario::on(Arc::new(Tampered(Arc::clone(&plan))));
        scenario.dir = dir;
        let mut opened = scenario.open(&scenario.sink("out", |jsonl| jsonl.compress = compress), SavedPosition::New);
        let registry = Arc::<Registry>::default();
        let output = opened.core().unwrap().0;
        output.register_in(Arc::<Registry>::clone(&registry));
        output.watch().unwrap();
        append(&mut opened, &record(1));
        let flushed = flush(&mut opened);
        append(&mut opened, &record(2));
        Self { scenario, plan, registry, compress, opened, flushed }
    }

    /// Brings the third record, and perhaps the second, to the output while this happens.
    fn write(&mut self, attempts: &[(usize, Change)]) {
        self.plan.attempts.lock().unwrap().extend(attempts);
        append(&mut self.opened, &record(3));
        flush(&mut self.opened);
        assert!(self.plan.attempts.lock().unwrap().is_empty(), "{attempts:?}");
    }

    fn directories(&self) -> Vec<PathBuf> {
        let inside = fs::read_dir(self.scenario.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        inside.filter(|path| path.is_dir()).chain([self.scenario.dir.path().to_owned()]).collect()
    }

    /// The records of all files.
    fn recorded(&self) -> Vec<u64> {
        let files = self.directories().into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
        let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.symlink_metadata().unwrap().is_file());
        let mut all: Vec<u64> = files.flat_map(|path| seqs(&self.text(&path))).collect();
        all.sort_unstable();
        all
    }

    fn text(&self, path: &Path) -> String {
        if self.compress == Compress::None {
            return text(path);
        }
        // A moved file does not say that it is compressed.
        let named = tempfile::Builder::new().suffix(".gz").tempfile().unwrap();
        fs::copy(path, named.path()).unwrap();
        text(named.path())
    }

    /// Starts again, as after a `kill -9`. The numbers of the lines behind the positions in the checkpoint that have a record.
    fn restart(&mut self) -> Vec<u64> {
        let positions = [vec![self.flushed.clone()], self.registry.positions.lock().unwrap().clone()].concat();
        let sink = self.scenario.sink("out", |jsonl| jsonl.compress = self.compress);
        // The lock of the killed process goes with it.
        let unused = self.scenario.sink("unused", |_| {});
        self.opened = self.scenario.open(&unused, SavedPosition::New);
        self.opened = self.scenario.open(&sink, SavedPosition::Until(positions));
        recover(std::slice::from_mut(&mut self.opened))
    }
}

/// Some sequences of a few attempts, side by side: each attempt takes a second.
fn for_sequences(test: impl Fn(Compress, &[(usize, Change)]) + Sync) {
    const SEQUENCES: u64 = 60;
    thread::scope(|scope| {
        for seed in 0..SEQUENCES {
            let test = &test;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let compress = if seed % 3 == 0 { Compress::Gzip } else { Compress::None };
                let changes = [Change::Nothing, Change::Delete, Change::Rename];
                let number = random.usize(1..5);
                let mut attempt =
                    |_| (random.usize(..2) * random.usize(1..400), changes[random.usize(..changes.len())]);
                let mut attempts: Vec<_> = (0..number).map(&mut attempt).collect();
                if compress == Compress::None && seed % 4 == 0 {
                    attempts.push((0, Change::Link));
                }
                test(compress, &attempts);
            });
        }
    });
}

#[test]
fn a_file_that_is_deleted_or_moved_while_there_is_no_room_loses_nothing_and_nothing_is_there_twice() {
    for_sequences(|compress, attempts| {
        let mut waiting = Waiting::new(compress);
        waiting.write(attempts);
        let recorded = waiting.recorded();
        // The first was flushed, so it is gone with its file.
        assert!(recorded == [1, 2, 3] || recorded == [2, 3], "{compress:?} {attempts:?}: {recorded:?}");
        let has_deleted = attempts.iter().any(|(_, change)| matches!(change, Change::Delete));
        assert!(has_deleted || recorded[0] == 1, "{compress:?} {attempts:?}: {recorded:?}");
    });
}

#[test]
fn after_a_kill_every_record_behind_the_checkpoint_is_found_in_whatever_file_it_is() {
    for_sequences(|compress, attempts| {
        let mut waiting = Waiting::new(compress);
        waiting.write(attempts);
        let found = waiting.restart();
        let behind: Vec<u64> = waiting.recorded().into_iter().filter(|seq| *seq > 1).collect();
        // Where a compressed file is renamed its name does not say how, so its records are taken back.
        assert_eq!(found, behind, "{compress:?} {attempts:?}");
        let is_renamed = attempts.iter().any(|(_, change)| matches!(change, Change::Rename));
        assert!(found == [2, 3] || compress != Compress::None && is_renamed, "{compress:?} {attempts:?}: {found:?}");
    });
}

#[test]
fn after_a_kill_amid_all_this_no_line_is_called_done_that_has_no_record_and_no_record_is_of_a_line_that_is_not() {
    for_sequences(|compress, attempts| {
        let mut waiting = Waiting::new(compress);
        let attempts = [attempts, &[(0, Change::Kill)]].concat();
        waiting.plan.attempts.lock().unwrap().extend(&attempts);
        let output = waiting.opened.core().unwrap().0;
        output.append(record(3).as_bytes()).and_then(|()| output.flush().map(drop)).unwrap_err();
        let found = waiting.restart();
        let behind: Vec<u64> = waiting.recorded().into_iter().filter(|seq| *seq > 1).collect();
        assert_eq!(found, behind, "{compress:?} {attempts:?}");
    });
}

#[test]
fn a_file_is_opened_anew_at_each_attempt_and_has_what_was_not_flushed() {
    let mut waiting = Waiting::new(Compress::None);
    waiting.write(&[(0, Change::Delete), (9, Change::Delete), (9, Change::Delete), (0, Change::Delete)]);
    assert_eq!(seqs(&waiting.scenario.text("out")), [2, 3]);
    assert_eq!(waiting.registry.positions.lock().unwrap().len(), 3);
}

#[test]
fn a_path_that_leads_to_another_disk_is_followed() {
    let mut waiting = Waiting::new(Compress::None);
    waiting.write(&[(9, Change::Link)]);
    assert_eq!(seqs(&waiting.scenario.text("moved-1")), [1, 2]);
    assert_eq!(seqs(&waiting.scenario.text("elsewhere-1/linked")), [3]);
}

/// What a deleted file with a megabyte of flushed records has of the disk when the next one is registered, in blocks.
fn blocks_at_registration(waiting: &mut Waiting, delete: impl FnOnce(&mut Waiting)) -> u64 {
    const MEGABYTE: usize = 1 << 20;
    append(&mut waiting.opened, &record(1).repeat(MEGABYTE / record(1).len()));
    flush(&mut waiting.opened);
    *waiting.registry.watched.lock().unwrap() = Some(File::open(&waiting.plan.path).unwrap());
    delete(waiting);
    waiting.registry.blocks.lock().unwrap()[0]
}

#[test]
fn a_deleted_file_gives_its_room_back_before_a_checkpoint_is_waited_for() {
    const FEW: u64 = 64;
    let amid = |waiting: &mut Waiting| waiting.write(&[(0, Change::Delete)]);
    assert!(blocks_at_registration(&mut Waiting::new(Compress::None), amid) < FEW);
    let at_a_flush = |waiting: &mut Waiting| {
        fs::remove_file(&waiting.plan.path).unwrap();
        waiting.write(&[]);
    };
    let mut full = Waiting::new(Compress::None);
    *full.plan.free.lock().unwrap() = Some(0);
    assert!(blocks_at_registration(&mut full, at_a_flush) < FEW);
    // Where there is room, programs can still read the deleted file.
    let mut roomy = Waiting::new(Compress::None);
    *roomy.plan.free.lock().unwrap() = Some(1 << 30);
    assert!(blocks_at_registration(&mut roomy, at_a_flush) > FEW);
}

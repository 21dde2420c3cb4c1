//! A disk of the test's own that is soon full.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::common::namespace::{self, Own, both};

/// What a disk gives out at once.
pub const PAGE: u64 = 4096;

/// An empty disk of 512 KiB.
pub struct SmallDisk {
    mounted: TempDir,
}

/// Plays the scenario of the test with this name with a disk of its own. Only where the kernel allows no namespaces it is
/// left out, and that is said.
pub fn with_a_small_disk(test: &str, scenario: impl FnOnce(&SmallDisk)) {
    namespace::with(Own::Mounts, test, || scenario(&SmallDisk::mount()));
}

fn mount(args: &[&str], at: &Path) {
    let output = Command::new("mount").args(args).arg(at).output().expect("`mount`, of util-linux, starts");
    assert!(output.status.success(), "mount {args:?}: {}", both(&output));
}

impl SmallDisk {
    fn mount() -> Self {
        let mounted = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", "size=512k", "none"], mounted.path());
        Self { mounted }
    }

    pub fn path(&self) -> &Path {
        self.mounted.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Fills it, but for so many bytes.
    pub fn fill_but(&self, free: u64) {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        let full = loop {
            if let Err(error) = ballast.write_all(&[0; PAGE as usize]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        ballast.set_len(ballast.metadata().unwrap().len() - free).unwrap();
    }

    /// Makes room again.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    /// Lets nobody write to it any more.
    pub fn forbid_writing(&self) {
        mount(&["-o", "remount,ro"], self.path());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is left of it goes with the namespace.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

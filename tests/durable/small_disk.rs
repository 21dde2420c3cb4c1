//! A disk of the test's own that is soon full: the test runs itself once more where it may mount one.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Says that this process is the one within.
const WITHIN: &str = "FETCHD_TEST_WITH_ITS_OWN_DISK";

/// What a disk gives out at once.
pub const PAGE: u64 = 4096;

/// An empty disk of 512 KiB.
pub struct SmallDisk {
    mounted: TempDir,
}

/// Plays the scene of the test with this name with a disk of its own. Only where the kernel allows no namespaces it is
/// left out, and that is said.
pub fn with_a_small_disk(test: &str, scene: impl FnOnce(&SmallDisk)) {
    if env::var_os(WITHIN).is_some() {
        return scene(&SmallDisk::mount());
    }
    let refused = unshare().arg("true").output().expect("`unshare`, of util-linux, starts");
    if !refused.status.success() {
        // Unlike `eprintln`, this is shown also for a test that passes.
        let left_out = format!("{test} is left out: the kernel allows no mount namespace: {}", both(&refused));
        io::stderr().write_all(left_out.as_bytes()).unwrap();
        return;
    }
    let itself = env::current_exe().unwrap();
    let output = unshare().arg(itself).args(["--exact", test, "--nocapture"]).env(WITHIN, "1").output().unwrap();
    let said = both(&output);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).env("LC_ALL", "C");
    command
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
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

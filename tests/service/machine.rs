//! A machine of the test's own: the files of this one under an overlay, and processes, mounts and users of its own. Its first process
//! is systemd, or one that only waits.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, io};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use crate::common::tools::tool;

/// The first process of a machine.
#[derive(Clone, Copy)]
pub enum Init {
    Systemd,
    /// One that waits for its end.
    Nothing,
}

pub struct Machine {
    /// `unshare`, with the end of its stdin, which is the end of [`Init::Nothing`].
    unshare: Child,
    pid: Pid,
    _dir: TempDir,
}

/// What came of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    /// Both outputs.
    pub text: String,
}

impl Machine {
    /// Starts it, if these programs are installed; otherwise it is said that the test is left out.
    pub fn start(init: Init, tools: &[&str]) -> Option<Self> {
        if tools.iter().any(|name| tool(name).is_none()) {
            return None;
        }
        if !geteuid().is_root() {
            let _ = io::Write::write_all(
                &mut io::stderr(),
                b"only root can make a machine: what runs there is not tested\n",
            );
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let init: &[&str] = match init {
            Init::Systemd => &["/lib/systemd/systemd", "--system", "--unit=basic.target", "--show-status=no"],
            Init::Nothing => &["cat"],
        };
        let mut unshare = Command::new("unshare")
            .args(["--kill-child=KILL", "--fork", "--pid", "--mount", "--cgroup", "--ipc", "--uts"])
            .args(["bash", "-c", include_str!("machine.sh"), "machine"])
            .arg(dir.path())
            .args(init)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It complains when it is killed.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(unshare.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let pid = said.trim().parse().unwrap_or_else(|_| panic!("the machine does not start: {said}"));
        let pid = Pid::from_raw(pid);
        Some(Self { unshare, pid, _dir: dir })
    }

    /// Runs a command in it.
    pub fn run<A: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = A>) -> Ran {
        let output = Command::new("nsenter")
            .arg(format!("--target={}", self.pid))
            .args(["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--root", "--wd"])
            .args(command)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ran { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// Runs a command that must not fail; gives back what it says.
    pub fn done<A: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = A>) -> String {
        let ran = self.run(command);
        assert_eq!(ran.code, Some(0), "{}", ran.text);
        ran.text
    }

    /// Runs a script that must not fail.
    pub fn shell(&self, script: &str) -> String {
        self.done(["sh", "-ec", script])
    }

    /// A path of it as seen from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid)).join(path.trim_start_matches('/'))
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts a file there that can be run.
    pub fn install(&self, from: &Path, to: &str) {
        fs::copy(from, self.path(to)).unwrap();
        fs::set_permissions(self.path(to), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = self.unshare.wait();
    }
}

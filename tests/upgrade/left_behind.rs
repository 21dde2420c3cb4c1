//! A copy of what a run of 0.1.0 left behind, and the present version in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::fetchd::{Fetchd, Running};
use crate::common::origin::{Origin, ok_with, send};
use crate::outputs::Read;

/// How many lines each run got.
pub const LINES: u64 = 30;

/// The version of checkpoints that are written now.
pub const VERSION: u64 = 2;

pub struct LeftBehind {
    dir: TempDir,
    form: String,
}

/// A file as the checkpoint identifies it.
#[derive(Deserialize)]
struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).unwrap();
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    fn text(&self) -> String {
        format!("\"device\":{},\"inode\":{}", self.device, self.inode)
    }
}

impl LeftBehind {
    /// A copy of this form's directory, in which the checkpoint identifies the copied files.
    pub fn copy(form: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/0.1.0").join(form);
        copy_all(&from, dir.path());
        let left = Self { dir, form: form.to_owned() };
        let ids: BTreeMap<String, Id> = serde_json::from_slice(&fs::read(from.join("ids.json")).unwrap()).unwrap();
        let mut text = fs::read_to_string(left.checkpoint_path()).unwrap();
        // In two steps: one file may have got the inode that another one had.
        for (name, old) in &ids {
            text = text.replace(&format!("{},", old.text()), &format!("<{name}>,"));
            text = text.replace(&format!("{}}}", old.text()), &format!("<{name}>}}"));
        }
        for name in ids.keys() {
            text = text.replace(&format!("<{name}>"), &Id::of(&left.path(name)).text());
        }
        left.replace_checkpoint(&text);
        left
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.path("state/checkpoint.json")
    }

    pub fn replace_checkpoint(&self, text: &str) {
        fs::write(self.checkpoint_path(), text).unwrap();
    }

    pub fn checkpoint(&self) -> Value {
        serde_json::from_slice(&fs::read(self.checkpoint_path()).unwrap()).unwrap()
    }

    /// Whether its source has no end.
    pub fn is_followed(&self) -> bool {
        self.form.starts_with("followed")
    }

    /// The present version with the same configuration, through a proxy that answers every line with 200.
    pub fn start(&self, proxy: &Origin) -> Running {
        self.start_with(proxy, &[])
    }

    /// The same with more arguments.
    pub fn start_with(&self, proxy: &Origin, args: &[&str]) -> Running {
        for (host, n) in ["a", "b", "c", "d"].iter().flat_map(|host| (1..=LINES).map(move |n| (host, n))) {
            proxy.play(&format!("http://{host}.test/{n}"), [send(ok_with("", b"at last"))]);
        }
        Fetchd::bare(["-c", "fetchd.toml", "-x", &proxy.url("")].iter().chain(args)).directory(self.dir.path()).start()
    }

    /// All records of an output, whatever its files are.
    pub fn records(&self, output: &str) -> Vec<Value> {
        Read::files(self.dir.path(), output).records()
    }

    /// What `fetchd state` says in JSON, where it does, and its exit code.
    pub fn state(&self, command: &str) -> (Value, Option<i32>) {
        let json = (command == "status").then_some("--json");
        let mut state = Command::new(env!("CARGO_BIN_EXE_fetchd"));
        state.args(["state", command]).args(json).args(["--data-dir", "state"]).current_dir(self.dir.path());
        let output = state.output().unwrap();
        (serde_json::from_slice(&output.stdout).unwrap_or_default(), output.status.code())
    }
}

/// The lines that the checkpoint calls done, by `fetchd state status`.
pub fn settled(status: &Value) -> u64 {
    status["sources"]["urls"]["done"].as_u64().unwrap()
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_all(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// The number of a line that is in its URL, or ends its text.
pub fn number_in_url(text: &str) -> u64 {
    let start = text.find(".test/").map_or_else(|| text.rfind(' ').unwrap() + 1, |at| at + ".test/".len());
    let digits = text[start..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |length| start + length);
    text[start..digits].parse().unwrap()
}

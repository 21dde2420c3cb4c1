//! A directory with files of URLs, a server that counts what reaches it, and a state that outlives the process.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd, Running};
use crate::common::origin::Origin;

pub struct Scenario {
    dir: TempDir,
    pub origin: Origin,
}

impl Scenario {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), origin: Origin::start() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Appends the URLs with these numbers to a file, each with its LF.
    pub fn append(&self, name: &str, numbers: impl IntoIterator<Item = u64>) {
        self.append_to(&mut self.writer(name), numbers);
    }

    /// The same to a file that is open, whatever it is called by now.
    pub fn append_to(&self, file: &mut File, numbers: impl IntoIterator<Item = u64>) {
        let url = |n| self.origin.url(&format!("/ok/{n}")) + "\n";
        let text: String = numbers.into_iter().map(url).collect();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// A file to append to.
    pub fn writer(&self, name: &str) -> File {
        OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap()
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// In the directory, with these arguments.
    pub fn fetchd(&self, args: &[&str]) -> Fetchd {
        Fetchd::with(args).directory(self.dir.path())
    }

    /// Reads a file to its end, with a memory.
    pub fn resume(&self, name: &str) -> Ended {
        self.resume_with(&[], name)
    }

    /// The same, also where it was rewritten.
    pub fn resume_anew(&self, name: &str) -> Ended {
        self.resume_with(&["--anew"], name)
    }

    fn resume_with(&self, args: &[&str], name: &str) -> Ended {
        let args = [args, &["-i", name, "--data-dir", "state", "--ordered"]].concat();
        let ended = self.fetchd(&args).run("");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Follows these paths, with a memory if there are keys for it.
    pub fn follow(&self, paths: &str, more: &str) -> Running {
        let config = format!("[source.urls.file]\npaths = {paths}\nfollow = true\n{more}");
        self.fetchd(&["--ordered"]).config(&config).start()
    }
}

/// What a record is of: the number of its line, and that in its URL.
pub fn line(record: &Value) -> (u64, u64) {
    (record["seq"].as_u64().unwrap(), record["json"]["n"].as_u64().unwrap())
}

/// The same for all that came.
pub fn lines(ended: &Ended) -> Vec<(u64, u64)> {
    ended.records.iter().map(line).collect()
}

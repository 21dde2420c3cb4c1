//! The producers of the kinds that there are.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Absent, Producer};
use crate::common::fetchd::{Ended, Running};
use crate::common::pipe::fill;
use crate::site::Site;

/// Keys of a source that has room for little.
const TIGHT: &str = "max_line = '1KiB'\n";

/// Writes to standard input.
pub struct Pipe {
    keys: &'static str,
}

impl Pipe {
    pub fn plain() -> Self {
        Self { keys: "" }
    }

    pub fn durable() -> Self {
        Self { keys: "durable = true\nmax_journal = '64KiB'\n" }
    }
}

impl Producer for Pipe {
    fn table(&self) -> String {
        format!("[source.in.stdin]\n{TIGHT}{}", self.keys)
    }

    fn after(&mut self, running: &mut Running, rest: &[u8]) {
        running.stdin.as_mut().unwrap().write_all(rest).unwrap();
    }

    fn give_half(&mut self, running: &mut Running, half: &[u8]) {
        self.after(running, half);
    }

    fn overfill(&mut self, running: &mut Running, line: &[u8], most: usize) -> usize {
        fill(running.stdin.as_mut().unwrap(), line, most)
    }

    fn end(&mut self, mut running: Running) -> Ended {
        running.stdin = None;
        running.wait()
    }

    fn without_producer(&self) -> Absent {
        Absent::Ends
    }
}

/// Has written a file before the process starts.
pub struct Batch {
    path: PathBuf,
}

impl Batch {
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join("lines.txt") }
    }
}

impl Producer for Batch {
    fn table(&self) -> String {
        format!("[source.in.file]\npaths = ['{}']\n{TIGHT}", self.path.display())
    }

    fn before(&mut self, all: &[u8]) {
        fs::write(&self.path, all).unwrap();
    }

    fn end(&mut self, mut running: Running) -> Ended {
        running.wait()
    }

    fn without_producer(&self) -> Absent {
        Absent::IsRefused
    }
}

/// Appends to a file that the process follows.
pub struct Followed {
    path: PathBuf,
    /// What is not in the file yet.
    rest: Vec<u8>,
}

impl Followed {
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join("lines.txt"), rest: Vec::new() }
    }

    fn append(&self, bytes: &[u8]) {
        OpenOptions::new().create(true).append(true).open(&self.path).unwrap().write_all(bytes).unwrap();
    }

    fn written(&self) -> usize {
        fs::metadata(&self.path).map_or(0, |file| usize::try_from(file.len()).unwrap())
    }
}

impl Producer for Followed {
    fn table(&self) -> String {
        format!("[source.in.file]\npaths = ['{}']\nfollow = true\n{TIGHT}", self.path.display())
    }

    /// Half of the lines are there at the start, and the rest comes in pieces.
    fn before(&mut self, all: &[u8]) {
        let written = self.written();
        self.append(&all[written..(all.len() / 2).max(written)]);
        self.rest = all[self.written()..].to_vec();
    }

    fn after(&mut self, _running: &mut Running, _rest: &[u8]) {
        let rest = std::mem::take(&mut self.rest);
        rest.chunks(7).for_each(|piece| self.append(piece));
    }

    fn give_half(&mut self, _running: &mut Running, half: &[u8]) {
        self.append(half);
    }

    fn end(&mut self, mut running: Running) -> Ended {
        running.wait_until_it_can_be_stopped();
        running.signal(Signal::SIGTERM);
        running.wait()
    }

    fn without_producer(&self) -> Absent {
        Absent::Waits
    }
}

/// Serves an API whose pages say where the next one is.
pub struct Walk {
    first: String,
}

impl Walk {
    pub fn new(site: &Site) -> Self {
        Self { first: site.origin.url("/gated/1") }
    }
}

impl Producer for Walk {
    fn table(&self) -> String {
        format!("[source.in.pages]\nurl = '{}'\nnext = {{ url = '/next' }}\n", self.first)
    }

    fn answer(&self, n: u64, next: Option<String>) -> Value {
        json!({ "n": n, "next": next })
    }

    fn end(&mut self, mut running: Running) -> Ended {
        running.wait()
    }

    fn without_producer(&self) -> Absent {
        Absent::Waits
    }
}

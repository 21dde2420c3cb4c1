//! A rewrite that was interrupted: it is finished when the output is still the one it was of, and removed otherwise.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fetchd::disk::OutputPosition;
use fetchd::output::SavedPosition;
use fetchd::sink::{self, BodyFormat, Jsonl};

use crate::scenario::{Scenario, append, bare, flush};
use crate::tampered::{Tamper, Tampered};

/// Lets so many appends pass, and fails the next one.
#[derive(Debug)]
struct Fails(AtomicUsize);

impl Tamper for Fails {
    fn append(&self, bytes: usize) -> io::Result<usize> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("on purpose")),
            _ => Ok(bytes),
        }
    }
}

const NEVER: usize = usize::MAX / 2;

fn foreign(seq: u64) -> String {
    bare(seq).replace("urls", "other")
}

/// An output of which the end was to be rewritten, when the program died.
struct Interrupted {
    scenario: Scenario,
    fails: Arc<Fails>,
    bare: Jsonl,
    position: OutputPosition,
}

impl Interrupted {
    /// The end, one record to be taken back and one that stays, is gone from the output: what stays is beside it.
    fn new() -> Self {
        let fails = Arc::new(Fails(AtomicUsize::new(NEVER)));
        let scenario = Scenario::on(Arc::new(Tampered(Arc::clone(&fails))));
        let (all, bare_sink) = (scenario.sink("all.jsonl", |_| {}), scenario.sink("bare.jsonl", without_bodies));
        let mut opened = [scenario.open(&all, SavedPosition::New), scenario.open(&bare_sink, SavedPosition::New)];
        append(&mut opened[1], &foreign(1));
        let positions = opened.each_mut().map(flush);
        append(&mut opened[1], &(bare(1) + &foreign(2)));
        flush(&mut opened[1]);
        drop(opened);
        let [of_all, position] = positions;
        let until = |position: &OutputPosition| SavedPosition::Until(vec![position.clone()]);
        let mut opened = [scenario.open(&all, until(&of_all)), scenario.open(&bare_sink, until(&position))];
        // The head and the record go to the file beside the output; the record does not come back.
        fails.0.store(2, Ordering::Relaxed);
        let error = sink::recover(&mut opened, &|id| Ok(id.source.as_deref() == Some("urls"))).unwrap_err();
        assert_eq!(error.to_string(), "on purpose");
        drop(opened);
        fails.0.store(NEVER, Ordering::Relaxed);
        let interrupted = Self { scenario, fails, bare: bare_sink, position };
        assert_eq!((interrupted.text(), interrupted.is_pending()), (foreign(1), true));
        interrupted
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.bare.path).unwrap()
    }

    fn is_pending(&self) -> bool {
        self.scenario.names().iter().any(|name| name.starts_with(".fetchd-rewrite-"))
    }

    /// What the output has once it is opened again. Nothing is beside it then.
    fn reopened(&self, saved: SavedPosition) -> String {
        drop(self.scenario.open(&self.bare, saved));
        assert!(!self.is_pending(), "{:?} with {:?}", self.scenario.names(), self.fails);
        self.text()
    }

    fn reopened_from_its_position(&self) -> String {
        self.reopened(SavedPosition::Until(vec![self.position.clone()]))
    }
}

fn without_bodies(jsonl: &mut Jsonl) {
    jsonl.body = Some(BodyFormat::None);
}

#[test]
fn it_is_finished_with_the_output_as_it_was() {
    assert_eq!(Interrupted::new().reopened_from_its_position(), foreign(1) + &foreign(2));
}

#[test]
fn it_is_finished_with_an_output_that_was_renamed() {
    let interrupted = Interrupted::new();
    let moved = interrupted.scenario.path("bare.jsonl.1");
    fs::rename(&interrupted.bare.path, &moved).unwrap();
    assert_eq!(interrupted.reopened_from_its_position(), "");
    assert_eq!(fs::read_to_string(moved).unwrap(), foreign(1) + &foreign(2));
}

#[test]
fn it_is_removed_when_the_output_was_emptied() {
    let interrupted = Interrupted::new();
    fs::write(&interrupted.bare.path, "").unwrap();
    assert_eq!(interrupted.reopened_from_its_position(), "");
}

#[test]
fn it_is_removed_when_the_inode_has_another_file() {
    let interrupted = Interrupted::new();
    let other = foreign(1).replace("other", "third") + &foreign(3);
    fs::write(&interrupted.bare.path, &other).unwrap();
    assert_eq!(interrupted.reopened_from_its_position(), other);
}

#[test]
fn it_is_removed_when_the_output_is_gone() {
    let interrupted = Interrupted::new();
    fs::remove_file(&interrupted.bare.path).unwrap();
    assert_eq!(interrupted.reopened_from_its_position(), "");
}

#[test]
fn it_is_removed_when_the_checkpoint_is_gone() {
    for saved in [SavedPosition::New, SavedPosition::No] {
        assert_eq!(Interrupted::new().reopened(saved), foreign(1));
    }
}

#[test]
fn it_is_removed_when_the_checkpoint_has_another_position() {
    let mut interrupted = Interrupted::new();
    interrupted.position.length = 0;
    assert_eq!(interrupted.reopened_from_its_position(), foreign(1));
}

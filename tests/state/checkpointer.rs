//! What is remembered of hosts between two commits, and of the position of a source.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fetchd::disk::{Disk, FileId, Mark, Mode, OutputPosition, RealDisk};
use fetchd::item::{Identity, Line, LinePosition, RawJson, Receipt, SavePosition, Text, Window};
use fetchd::schedule::HostState;
use fetchd::state::{Checkpoint, Checkpointer, DataDir, HostStateStore, Settle, SourceState};
use futures::executor::block_on;

use crate::tampered::{Tamper, Tampered};

/// Breaks at the next sync of a file, once.
#[derive(Debug, Default)]
struct BreaksOnce(AtomicBool);

impl Tamper for BreaksOnce {
    fn sync(&self) -> io::Result<()> {
        if self.0.swap(false, Ordering::Relaxed) { Err(io::Error::other("the disk broke")) } else { Ok(()) }
    }
}

fn paused(host: &str) -> HostState {
    HostState { host: host.into(), paused: Duration::from_secs(100), closed: Duration::ZERO, unreachable: vec![] }
}

#[test]
fn hosts_that_could_not_be_written_down_end_the_run_at_the_next_commit() {
    for is_broken in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let breaks = Arc::<BreaksOnce>::default();
        let disk: Arc<dyn Disk> = Arc::new(Tampered(Arc::clone(&breaks)));
        let mut checkpointer = Checkpointer::start(DataDir::open(disk, dir.path()).unwrap(), Vec::new());
        let mut hosts = checkpointer.hosts(None);
        breaks.0.store(is_broken, Ordering::Relaxed);
        hosts.save(&[paused("a.test")]);
        let committed = block_on(checkpointer.commit(Vec::new())).map_err(|error| error.to_string());
        assert!(!breaks.0.load(Ordering::Relaxed), "hosts wait for no commit");
        if is_broken {
            assert!(committed.unwrap_err().contains("the disk broke"));
            assert!(block_on(checkpointer.commit(Vec::new())).is_err(), "nothing can be believed any more");
        } else {
            committed.unwrap();
            let left = Checkpoint::load(&RealDisk, dir.path()).unwrap().unwrap();
            assert_eq!(left.hosts.keys().collect::<Vec<_>>(), ["a.test"]);
        }
    }
}

#[test]
fn entries_of_hosts_that_later_versions_wrote_outlast_commits_and_news_of_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let newer = r#"{"version":2,"state_id":"a","sources":{},"sinks":{},"hosts":{"a.test":{"quota":{"left":1.50}},"b.test":{"token":[]}}}"#;
    fs::write(dir.path().join("checkpoint.json"), newer).unwrap();
    let mut checkpointer = Checkpointer::start(DataDir::open(Arc::new(RealDisk), dir.path()).unwrap(), Vec::new());
    let mut hosts = checkpointer.hosts(None);
    assert_eq!(hosts.load(), []);
    hosts.save(&[paused("a.test"), paused("c.test")]);
    block_on(checkpointer.commit(Vec::new())).unwrap();
    let left = fs::read_to_string(dir.path().join("checkpoint.json")).unwrap();
    assert!(left.contains(r#","quota":{"left":1.50}},"b.test":{"token":[]},"c.test":{"pause":"#), "{left}");
    assert!(left.contains(r#""a.test":{"pause":"#), "{left}");
}

/// A line of the source `pages` that is done.
fn receipt(seq: u64) -> Receipt {
    let id = Identity { state_id: None, source: Some("pages".into()), file: None, seq, round: 0 };
    let (window, line) = (Window::new(1, 100), Line { id, text: Text::Lost, position: None });
    let ticket = block_on(async { window.ticket(window.room().await.unwrap(), &line, 0, 0).await });
    ticket.unwrap().done()
}

#[test]
fn a_source_gets_the_position_back_that_its_last_receipt_with_one_handed_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = DataDir::open(Arc::new(RealDisk), dir.path()).unwrap();
    state.checkpoint.sources.insert("pages".into(), SourceState::new("pages"));
    let mut checkpointer = Checkpointer::start(state, vec![Some("pages".into())]);
    let cursor = |page: u64| RawJson::of(&serde_json::json!({ "page": page })).unwrap();
    let read = |seq: u64| Receipt { position: Some(LinePosition::Page(cursor(seq))), ..receipt(seq) };
    let done = [read(1), read(2), receipt(3)];
    checkpointer.settle(&done).unwrap();
    block_on(checkpointer.commit(Vec::new())).unwrap();
    let left = Checkpoint::load(&RealDisk, dir.path()).unwrap().unwrap();
    assert_eq!(left.sources["pages"].position, Some(cursor(2)));
    assert_eq!(left.sources["pages"].files[""].through(), 3);
}

#[test]
fn a_page_that_recovery_found_is_the_position_of_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = DataDir::open(Arc::new(RealDisk), dir.path()).unwrap();
    state.checkpoint.sources.insert("pages".into(), SourceState::new("pages"));
    let page = RawJson::of(&serde_json::json!({ "number": 1 })).unwrap();
    state.settle(&receipt(1).id, Some(page.clone())).unwrap();
    state.settle(&receipt(2).id, None).unwrap();
    let source = &state.checkpoint.sources["pages"];
    assert_eq!((source.position.as_ref(), source.files[""].through()), (Some(&page), 2));
}

#[test]
fn a_position_that_is_saved_apart_is_durable_at_once_and_outlasts_commits() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = DataDir::open(Arc::new(RealDisk), dir.path()).unwrap();
    state.checkpoint.sources.insert("files".into(), SourceState::new("file"));
    let mut checkpointer = Checkpointer::start(state, vec![Some("files".into())]);
    let mut recorder = checkpointer.position("files");
    let left = || Checkpoint::load(&RealDisk, dir.path()).unwrap().unwrap().sources["files"].position.clone();
    for n in 1..3 {
        let position = RawJson::of(&n).unwrap();
        recorder.save(position.clone()).unwrap();
        assert_eq!(left(), Some(position.clone()));
        block_on(checkpointer.commit(Vec::new())).unwrap();
        assert_eq!(left(), Some(position));
    }
}

#[test]
fn a_file_of_an_output_is_durable_at_once_beside_those_before_until_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = DataDir::open(Arc::new(RealDisk), dir.path()).unwrap();
    let position = |inode, length| OutputPosition { file: FileId { device: 1, inode }, number: 0, length };
    state.checkpoint.sinks.insert("all".into(), vec![position(1, 10)]);
    let mut checkpointer = Checkpointer::start(state, Vec::new());
    let registry = checkpointer.output_files();
    let left = || Checkpoint::load(&RealDisk, dir.path()).unwrap().unwrap().sinks["all"].clone();
    registry.register("all", position(2, 0)).unwrap();
    assert_eq!(left(), [position(1, 10), position(2, 0)]);
    checkpointer.hosts(None).save(&[paused("a.test")]);
    // The first was deleted, and its inode used again.
    registry.register("all", position(1, 0)).unwrap();
    assert_eq!(left(), [position(2, 0), position(1, 0)]);
    let file = RealDisk.open(&dir.path().join("lock"), Mode::Read).unwrap();
    let mark = Mark { sink: "all".into(), position: position(1, 5), file, path: dir.path().join("all") };
    block_on(checkpointer.commit(vec![mark])).unwrap();
    assert_eq!(left(), [position(1, 5)]);
}

#[test]
fn a_position_that_could_not_be_written_is_an_error_at_once_and_at_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let breaks = Arc::<BreaksOnce>::default();
    let disk: Arc<dyn Disk> = Arc::new(Tampered(Arc::clone(&breaks)));
    let mut checkpointer = Checkpointer::start(DataDir::open(disk, dir.path()).unwrap(), Vec::new());
    breaks.0.store(true, Ordering::Relaxed);
    let saved = checkpointer.position("files").save(RawJson::of(&1).unwrap());
    assert!(saved.unwrap_err().to_string().contains("the disk broke"));
    assert!(block_on(checkpointer.commit(Vec::new())).is_err());
}

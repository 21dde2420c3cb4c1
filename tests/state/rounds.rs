//! A data directory with an open round: which records are news, and what becomes of the list.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fetchd::disk::RealDisk;
use fetchd::item::Identity;
use fetchd::rounds::{ListWriter, RoundList};
use fetchd::state::{DataDir, SourceState, round};

fn opened(dir: &Path) -> DataDir {
    DataDir::open(Arc::new(RealDisk), dir).unwrap()
}

/// A list of the even lines up to so many of one file.
fn list(dir: &Path, number: u32, lines: u64) -> RoundList {
    let mut list = ListWriter::begin(&RealDisk, dir, number).unwrap();
    for seq in (1..=lines).filter(|seq| seq.is_multiple_of(2)) {
        list.push("urls", "a.txt", seq, &serde_json::value::to_raw_value(&format!("http://a/{seq}")).unwrap()).unwrap();
    }
    list.finish().unwrap()
}

fn lists(dir: &Path) -> usize {
    fs::read_dir(dir.join("rounds")).map_or(0, Iterator::count)
}

/// A data directory with a round of the lines 2, 4, 6, 8 and 10.
fn with_round(dir: &Path) -> DataDir {
    let mut state = opened(dir);
    state.checkpoint.sources.insert("urls".into(), SourceState::new("file"));
    state.open_round(list(dir, 3, 10), 3, &"401,timeout".parse().unwrap()).unwrap();
    fs::write(dir.join("rounds/4"), "of a round that did not come to begin").unwrap();
    drop(state);
    opened(dir)
}

fn id(state: &DataDir, seq: u64, round: u32) -> Identity {
    let state_id = Some(Arc::clone(&state.checkpoint.state_id));
    Identity { state_id, source: Some("urls".into()), file: Some("a.txt".into()), seq, round }
}

fn is_pending(state: &DataDir, id: &Identity) -> bool {
    state.is_pending(id).unwrap()
}

#[test]
fn records_of_the_open_round_are_news_and_those_of_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let state = with_round(dir.path());
    assert_eq!((lists(dir.path()), state.lines_of_round(), state.checkpoint.last_round), (1, 5, 3));
    let shown = round(&RealDisk, dir.path()).unwrap().unwrap();
    assert_eq!((shown.number, &*shown.selection, shown.lines, shown.done), (3, "timeout,401", 5, 0));
    for seq in 0..12 {
        let is_news = |round| is_pending(&state, &id(&state, seq, round));
        assert_eq!(is_news(3), seq > 0 && seq.is_multiple_of(2) && seq <= 10, "{seq}");
        assert_eq!([is_news(0), is_news(2), is_news(4)], [true, false, false]);
    }
    let foreign = Identity { state_id: Some("other".into()), ..id(&state, 2, 3) };
    let elsewhere = Identity { file: None, ..id(&state, 2, 3) };
    assert!(!is_pending(&state, &foreign) && !is_pending(&state, &elsewhere));
}

#[test]
fn a_round_ends_with_its_last_line_and_its_list_goes_after_that() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = with_round(dir.path());
    for (done, seq) in (1..).zip([4, 2, 10, 6, 8]) {
        let (line, first) = (id(&state, seq, 3), id(&state, seq, 0));
        state.settle(&line, None).unwrap();
        assert!(!is_pending(&state, &line) && is_pending(&state, &first), "the first round is another matter");
        state.checkpoint.end_finished_round(state.lines_of_round());
        let checkpoint = state.checkpoint.clone();
        state.commit(&checkpoint, &[]).unwrap();
        assert_eq!((lists(dir.path()), checkpoint.round.is_none()), (usize::from(done < 5), done == 5));
    }
    drop(state);
    let state = opened(dir.path());
    assert!(state.list.is_none() && state.checkpoint.last_round == 3);
    assert!(round(&RealDisk, dir.path()).unwrap().is_none() && !is_pending(&state, &id(&state, 2, 3)));
}

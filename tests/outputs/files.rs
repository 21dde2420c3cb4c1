//! Outputs of several files: their names, who may write to them, what a crash between two of them leaves.

use std::fs;

use fetchd::output::{Compress, Fsync, SavedPosition};
use fetchd::units::Size;

use crate::scenario::{Scenario, append, flush, record, recover, seqs};

#[test]
fn finished_files_have_numbers_and_a_growing_one_says_so() {
    let scenario = Scenario::new();
    let sink = scenario.sink("out.jsonl", |jsonl| jsonl.rotate_size = Some(Size::kib(1)));
    for run in 0..2 {
        let mut opened = scenario.open(&sink, SavedPosition::No);
        for seq in 1..=2 {
            append(&mut opened, &record(run * 2 + seq));
            flush(&mut opened);
            if seq == 1 {
                opened.core().unwrap().0.rotate().unwrap();
            }
        }
        if run == 1 {
            opened.core().unwrap().0.finish().unwrap();
        }
    }
    // The first run was killed, and the second went on in its last file.
    assert_eq!(scenario.names(), ["out-000001.jsonl", "out-000002.jsonl", "out-000003.jsonl"]);
    let found: Vec<_> = scenario.names().iter().map(|name| seqs(&scenario.text(name))).collect();
    assert_eq!(found, [vec![1], vec![2, 3], vec![4]]);
}

#[test]
fn a_file_without_records_is_not_finished_but_removed() {
    let scenario = Scenario::new();
    let sink = scenario.sink("out", |jsonl| jsonl.compress = Compress::Gzip);
    let mut opened = scenario.open(&sink, SavedPosition::No);
    assert_eq!(scenario.names(), ["out-000001.gz.part"]);
    opened.core().unwrap().0.rotate().unwrap();
    assert_eq!(scenario.names(), ["out-000001.gz.part"]);
    opened.core().unwrap().0.finish().unwrap();
    assert_eq!(scenario.names(), [""; 0]);
}

#[test]
fn numbers_are_not_used_again_when_their_files_were_taken_away() {
    let scenario = Scenario::new();
    let sink = scenario.sink("out.jsonl.zst", |jsonl| jsonl.compress = Compress::Zstd);
    let mut opened = scenario.open(&sink, SavedPosition::New);
    append(&mut opened, &record(1));
    let position = flush(&mut opened);
    opened.core().unwrap().0.finish().unwrap();
    drop(opened);
    fs::remove_file(scenario.path("out-000001.jsonl.zst")).unwrap();
    let _next = scenario.open(&sink, SavedPosition::Until(vec![position]));
    assert_eq!(scenario.names(), ["out-000002.jsonl.zst.part"]);
}

#[test]
fn a_crash_between_two_files_is_made_good() {
    let scenario = Scenario::new();
    let sink = scenario.sink("out.jsonl", |jsonl| jsonl.rotate_size = Some(Size::kib(1)));
    let mut opened = scenario.open(&sink, SavedPosition::New);
    append(&mut opened, &record(1));
    let position = flush(&mut opened);
    drop(opened);
    // The next file is there, and the first was not renamed any more. The start after that completes a record.
    fs::write(scenario.path("out-000002.jsonl.part"), "").unwrap();
    let mut opened = scenario.open(&sink, SavedPosition::Until(vec![position.clone()]));
    let (_, log) = opened.log().unwrap();
    assert_eq!(log[0], position);
    append(&mut opened, &(record(2) + "{\"seq\""));
    drop(opened);
    let mut opened = [scenario.open(&sink, SavedPosition::Until(log))];
    assert_eq!(recover(&mut opened), [2]);
    assert_eq!(scenario.names(), ["out-000001.jsonl", "out-000002.jsonl.part"]);
    append(&mut opened[0], &record(3));
    assert_eq!(seqs(&scenario.text("out-000002.jsonl.part")), [2, 3]);
}

#[test]
fn a_second_process_gets_none_of_the_files() {
    for compress in [Compress::None, Compress::Zstd] {
        let scenario = Scenario::new();
        let sink = scenario.sink("out.jsonl", |jsonl| {
            jsonl.rotate_size = Some(Size::kib(1));
            jsonl.compress = compress;
        });
        let mut first = scenario.open(&sink, SavedPosition::No);
        append(&mut first, &record(1));
        flush(&mut first);
        let before = scenario.names();
        let refused = scenario.try_open(&sink, SavedPosition::No).err().unwrap().to_string();
        assert!(refused.contains("another process is writing"), "{refused}");
        assert_eq!(scenario.names(), before);
    }
}

#[test]
fn a_killed_file_is_readable_up_to_its_last_whole_frame() {
    for (compress, name) in
        [(Compress::Gzip, "out-000001.jsonl.gz.part"), (Compress::Zstd, "out-000001.jsonl.zst.part")]
    {
        let scenario = Scenario::new();
        let sink = scenario.sink("out.jsonl", |jsonl| {
            jsonl.compress = compress;
            // A sync for each byte takes its time.
            jsonl.fsync = Fsync::Never;
        });
        let mut opened = scenario.open(&sink, SavedPosition::No);
        let mut write = |seq| {
            append(&mut opened, &record(seq));
            flush(&mut opened).length
        };
        let ends: Vec<u64> = (1..=4).map(&mut write).collect();
        drop(opened);
        let whole = fs::read(scenario.path(name)).unwrap();
        for length in 0..=whole.len() {
            fs::write(scenario.path(name), &whole[..length]).unwrap();
            drop(scenario.open(&sink, SavedPosition::No));
            let there = ends.iter().filter(|end| **end <= length as u64).count() as u64;
            assert_eq!(seqs(&scenario.text(name)), (1..=there).collect::<Vec<_>>(), "{name} cut at {length}");
        }
    }
}

#[test]
fn a_path_that_is_opened_anew_may_be_another_file() {
    let scenario = Scenario::new();
    let mut opened = scenario.open(&scenario.sink("out", |jsonl| jsonl.fsync = Fsync::Never), SavedPosition::No);
    append(&mut opened, &record(1));
    opened.core().unwrap().0.rotate().unwrap();
    append(&mut opened, &record(2));
    fs::rename(scenario.path("out"), scenario.path("out.1")).unwrap();
    append(&mut opened, &record(3));
    opened.core().unwrap().0.rotate().unwrap();
    append(&mut opened, &record(4));
    assert_eq!((seqs(&scenario.text("out.1")), seqs(&scenario.text("out"))), (vec![1, 2, 3], vec![4]));
}

//! Records behind the position of the last checkpoint are the results of their lines, in every output.

use std::fs;

use fetchd::disk::OutputPosition;
use fetchd::output::{Compress, Fsync, SavedPosition};
use fetchd::sink::{BodyFormat, Jsonl, OpenedSink, Wanted};

use crate::scenario::{Scenario, append, bare, flush, record, recover, seqs};

/// All records in one output; in another those that are not ok, without bodies.
fn two(scenario: &Scenario, compress: Compress) -> [Jsonl; 2] {
    // A sync for each byte that is cut takes its time.
    let all = scenario.sink("all.jsonl", |jsonl| {
        jsonl.compress = compress;
        jsonl.fsync = Fsync::Never;
    });
    let failures = scenario.sink("failures.jsonl", |jsonl| {
        jsonl.records = Wanted::NotOk;
        jsonl.body = Some(BodyFormat::None);
        jsonl.compress = compress;
        jsonl.fsync = Fsync::Never;
    });
    [all, failures]
}

fn reopen(scenario: &Scenario, sinks: &[Jsonl], positions: &[OutputPosition]) -> Vec<OpenedSink> {
    sinks
        .iter()
        .zip(positions)
        .map(|(sink, position)| scenario.open(sink, SavedPosition::Until(vec![position.clone()])))
        .collect()
}

/// Records 1 to 3 before a checkpoint; then 4 to 9, each flushed alone. Where the outputs ended after each comes back.
fn nine(scenario: &Scenario, sinks: &[Jsonl; 2]) -> ([OutputPosition; 2], Vec<[u64; 2]>) {
    let mut opened = sinks.each_ref().map(|sink| scenario.open(sink, SavedPosition::New));
    let mut write = |seq: u64| {
        append(&mut opened[0], &record(seq));
        if seq.is_multiple_of(3) {
            append(&mut opened[1], &bare(seq));
        }
        opened.each_mut().map(flush)
    };
    let start = (1..=3).map(&mut write).last().unwrap();
    let ends = (4..=9).map(|seq| write(seq).map(|position| position.length)).collect();
    (start, ends)
}

fn part(compress: Compress, stem: &str) -> String {
    match compress {
        Compress::None => format!("{stem}.jsonl"),
        Compress::Gzip => format!("{stem}-000001.jsonl.gz.part"),
        Compress::Zstd => format!("{stem}-000001.jsonl.zst.part"),
    }
}

fn cut_at_every_byte(compress: Compress) {
    let scenario = Scenario::new();
    let sinks = two(&scenario, compress);
    let (positions, ends) = nine(&scenario, &sinks);
    let paths = ["all", "failures"].map(|stem| scenario.path(&part(compress, stem)));
    let whole = paths.each_ref().map(|path| fs::read(path).unwrap());
    for which in [0, 1] {
        let from = if which == 0 { ends[2][0] } else { positions[1].length };
        for length in from..=whole[which].len() as u64 {
            for (path, bytes) in paths.iter().zip(&whole) {
                fs::write(path, bytes).unwrap();
            }
            fs::write(&paths[which], &whole[which][..usize::try_from(length).unwrap()]).unwrap();
            let mut opened = reopen(&scenario, &sinks, &positions);
            let done = recover(&mut opened);
            // A failure's record without its body does not make one with it, so such a line is not done.
            let is_there = |seq: &u64| which == 1 || ends[usize::try_from(seq - 4).unwrap()][0] <= length;
            let expected: Vec<u64> = (4..=9).filter(is_there).collect();
            assert_eq!(done, expected, "{compress:?}: output {which} cut at {length}");
            drop(opened);
            let mut found = [part(compress, "all"), part(compress, "failures")].map(|name| seqs(&scenario.text(&name)));
            found.iter_mut().for_each(|seqs| seqs.sort_unstable());
            let all: Vec<u64> = (1..=3).chain(expected).collect();
            assert_eq!(found[1], all.iter().copied().filter(|seq| seq % 3 == 0).collect::<Vec<_>>());
            assert_eq!(found[0], all);
        }
    }
}

#[test]
fn an_output_cut_at_every_byte_of_its_last_records_is_completed() {
    cut_at_every_byte(Compress::None);
}

#[test]
fn a_gzip_output_cut_at_every_byte_of_its_last_records_is_completed() {
    cut_at_every_byte(Compress::Gzip);
}

#[test]
fn a_zstd_output_cut_at_every_byte_of_its_last_records_is_completed() {
    cut_at_every_byte(Compress::Zstd);
}

#[test]
fn what_a_power_cut_left_as_zeros_is_cut_off() {
    let scenario = Scenario::new();
    let sinks = [scenario.sink("all.jsonl", |_| {})];
    let mut opened = scenario.open(&sinks[0], SavedPosition::New);
    append(&mut opened, &record(1));
    let position = flush(&mut opened);
    drop(opened);
    let text = format!("{}{}{}{}", record(1), record(2), "\0".repeat(512), record(4));
    fs::write(scenario.path("all.jsonl"), text).unwrap();
    assert_eq!(recover(&mut reopen(&scenario, &sinks, &[position])), [2]);
    assert_eq!(scenario.text("all.jsonl"), record(1) + &record(2));
}

#[test]
fn records_that_are_taken_back_leave_those_of_other_sources() {
    let scenario = Scenario::new();
    let sinks = two(&scenario, Compress::None);
    let mut opened = sinks.each_ref().map(|sink| scenario.open(sink, SavedPosition::New));
    let positions = opened.each_mut().map(flush);
    let foreign = bare(3).replace("urls", "other");
    append(&mut opened[1], &(bare(3) + &foreign + &bare(6)));
    append(&mut opened[0], &record(6));
    drop(opened);
    // The record of line 3 is lost where it had its body.
    assert_eq!(recover(&mut reopen(&scenario, &sinks, &positions)), [6]);
    assert_eq!(scenario.text("failures.jsonl"), foreign + &bare(6));
}

#[test]
fn an_output_that_was_moved_away_is_read_where_it_is_now() {
    let scenario = Scenario::new();
    let sinks = [scenario.sink("all.jsonl", |_| {})];
    let mut opened = scenario.open(&sinks[0], SavedPosition::New);
    append(&mut opened, &record(1));
    let position = flush(&mut opened);
    append(&mut opened, &(record(2) + "{\"seq\":3,"));
    drop(opened);
    fs::rename(scenario.path("all.jsonl"), scenario.path("all.jsonl.1")).unwrap();
    let mut opened = reopen(&scenario, &sinks, &[position]);
    assert_eq!(recover(&mut opened), [2]);
    append(&mut opened[0], &record(4));
    assert_eq!(scenario.text("all.jsonl.1"), record(1) + &record(2));
    assert_eq!(scenario.text("all.jsonl"), record(4));
}

#[test]
fn an_output_that_is_shorter_than_remembered_or_gone_is_gone_on_with_as_it_is() {
    let scenario = Scenario::new();
    let sinks = [scenario.sink("all.jsonl", |_| {})];
    let mut opened = scenario.open(&sinks[0], SavedPosition::New);
    append(&mut opened, &(record(1) + &record(2)));
    let position = flush(&mut opened);
    drop(opened);
    let open = || reopen(&scenario, &sinks, std::slice::from_ref(&position));
    fs::write(scenario.path("all.jsonl"), record(1)).unwrap();
    assert_eq!(recover(&mut open()), [0; 0]);
    // Longer, but not with a record ending there.
    fs::write(scenario.path("all.jsonl"), record(10) + &record(20)).unwrap();
    assert_eq!(recover(&mut open()), [0; 0]);
    assert_eq!(scenario.text("all.jsonl"), record(10) + &record(20));
    fs::remove_file(scenario.path("all.jsonl")).unwrap();
    let mut opened = open();
    assert_eq!(recover(&mut opened), [0; 0]);
    assert_eq!(flush(&mut opened[0]).length, 0);
}

#[test]
fn a_new_output_gets_what_the_others_have_behind_the_checkpoint() {
    let scenario = Scenario::new();
    let sinks = two(&scenario, Compress::None);
    let mut opened = scenario.open(&sinks[0], SavedPosition::New);
    append(&mut opened, &record(3));
    let position = flush(&mut opened);
    append(&mut opened, &(record(6) + &record(7)));
    drop(opened);
    let mut opened =
        [scenario.open(&sinks[0], SavedPosition::Until(vec![position])), scenario.open(&sinks[1], SavedPosition::New)];
    assert_eq!(recover(&mut opened), [6, 7]);
    assert_eq!(scenario.text("failures.jsonl"), bare(6));
}

#[test]
fn what_a_killed_start_completed_in_a_new_output_is_not_completed_once_more() {
    let scenario = Scenario::new();
    let sinks = two(&scenario, Compress::None);
    let mut opened = scenario.open(&sinks[0], SavedPosition::New);
    let position = flush(&mut opened);
    append(&mut opened, &record(3));
    drop(opened);
    fs::write(scenario.path("failures.jsonl"), bare(9)).unwrap();
    let mut kept = [SavedPosition::Until(vec![position]), SavedPosition::New];
    for _ in 0..2 {
        let [all, failures] = kept;
        let mut opened = [scenario.open(&sinks[0], all), scenario.open(&sinks[1], failures)];
        kept = opened.each_mut().map(|opened| SavedPosition::Until(opened.log().unwrap().1));
        assert_eq!(recover(&mut opened), [3]);
        assert_eq!(scenario.text("failures.jsonl"), bare(9) + &bare(3));
    }
}

#[test]
fn a_file_that_takes_the_place_of_the_remembered_one_is_no_log() {
    let scenario = Scenario::new();
    let mut opened = scenario.open(&scenario.sink("old.jsonl", |_| {}), SavedPosition::New);
    append(&mut opened, &record(1));
    let position = flush(&mut opened);
    append(&mut opened, &record(2));
    drop(opened);
    fs::write(scenario.path("new.jsonl"), format!("{}no record\n{}", record(7), record(8))).unwrap();
    let before = scenario.text("new.jsonl");
    let mut opened = [scenario.open(&scenario.sink("new.jsonl", |_| {}), SavedPosition::Until(vec![position]))];
    assert_eq!(recover(&mut opened), [2]);
    append(&mut opened[0], &record(3));
    assert_eq!(scenario.text("new.jsonl"), before + &record(3));
}

#[test]
fn an_output_may_be_compressed_from_one_run_to_the_next() {
    let scenario = Scenario::new();
    let sink = |compress| scenario.sink("all.jsonl", |jsonl| jsonl.compress = compress);
    let mut kept = SavedPosition::New;
    for (run, compress) in [Compress::None, Compress::Zstd, Compress::Gzip, Compress::None].into_iter().enumerate() {
        let first = run as u64 * 2 + 1;
        let mut opened = [scenario.open(&sink(compress), kept)];
        assert_eq!(recover(&mut opened), if run == 0 { vec![] } else { vec![first - 1] });
        append(&mut opened[0], &record(first));
        kept = SavedPosition::Until(vec![flush(&mut opened[0])]);
        append(&mut opened[0], &record(first + 1));
        flush(&mut opened[0]);
    }
    assert_eq!(seqs(&scenario.text("all.jsonl")), [1, 2, 7, 8]);
    assert_eq!(seqs(&scenario.text("all-000001.jsonl.zst")), [3, 4]);
    assert_eq!(seqs(&scenario.text("all-000002.jsonl.gz.part")), [5, 6]);
}

//! The journal, on a real disk: what was accepted is read back, whatever is cut off or damaged.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so by a panic")]

#[path = "common/tampered.rs"]
mod tampered;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fetchd::disk::{Disk, RealDisk};
use fetchd::item::Text;
use fetchd::journal::{Batch, BatchKey, Damaged, OpenedJournal, ReadBatch, Reader, Writer};
use proptest::prelude::*;
use tampered::{Tamper, Tampered};

/// So small that a few lines fill a segment.
const SEGMENT: u64 = 200;

fn open(dir: &Path, known: u64) -> OpenedJournal {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Writer::open(&disk, dir, known, SEGMENT).unwrap()
}

fn batch(texts: &[String]) -> Batch {
    let mut batch = Batch::default();
    texts.iter().for_each(|text| batch.push(&Text::Whole(text.clone().into())));
    batch
}

/// The lines from a number on; a lost one has no text.
fn lines(writer: &Writer, from: u64) -> Vec<(u64, Option<String>)> {
    let mut reader = Reader::new(Arc::clone(writer.index()), from);
    let mut all = Vec::new();
    while let ReadBatch::Lines(lines) = reader.take().unwrap() {
        all.extend(lines.into_iter().map(|(seq, text)| match text {
            Text::Whole(text) => (seq, Some(String::from_utf8(text.to_vec()).unwrap())),
            Text::Lost => (seq, None),
            Text::TooLong(_) => panic!("no line was too long"),
        }));
    }
    all
}

fn url(seq: u64) -> String {
    format!("http://a.test/{seq}")
}

fn whole(seqs: impl IntoIterator<Item = u64>) -> Vec<(u64, Option<String>)> {
    seqs.into_iter().map(|seq| (seq, Some(url(seq)))).collect()
}

/// Three batches of three lines in one segment.
fn nine_lines(dir: &Path) -> PathBuf {
    let mut writer = open(dir, 0).writer;
    for first in [1, 4, 7] {
        writer.append(&batch(&(first..first + 3).map(url).collect::<Vec<_>>())).unwrap();
    }
    let mut files = fs::read_dir(dir).unwrap();
    files.next().unwrap().unwrap().path()
}

/// What happens to a journal.
#[derive(Clone, Debug)]
enum Event {
    Append(u64),
    Trim(u64),
    Restart,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![4 => (1u64..20).prop_map(Event::Append), 2 => (0u64..100).prop_map(Event::Trim), 1 => Just(Event::Restart)]
}

proptest! {
    // Every step is synced, which takes its time.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_accepted_and_not_forgotten_is_read_back(events in proptest::collection::vec(any_event(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, mut last, mut through) = (open(dir.path(), 0).writer, 0, 0);
        for event in events {
            match event {
                Event::Append(n) => {
                    writer.append(&batch(&(last + 1..=last + n).map(url).collect::<Vec<_>>())).unwrap();
                    last += n;
                }
                Event::Trim(percent) => {
                    through = through.max(last * percent / 100);
                    writer.index().trim_through(through).unwrap();
                }
                Event::Restart => {
                    let opened = open(dir.path(), through);
                    prop_assert_eq!(opened.torn.bytes, 0);
                    writer = opened.writer;
                }
            }
            prop_assert_eq!(writer.index().next(), last + 1);
            prop_assert_eq!(lines(&writer, through + 1), whole(through + 1..=last));
        }
        writer.index().trim_through(last).unwrap();
        prop_assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the segment that is written to is left");
    }
}

#[test]
fn a_segment_that_is_cut_at_any_byte_has_the_batches_before_the_cut_and_takes_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = nine_lines(dir.path());
    let bytes = fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let OpenedJournal { mut writer, torn, .. } = open(dir.path(), 0);
        let kept = writer.index().next() - 1;
        assert_eq!(kept, 3 * (3 * cut / bytes.len()) as u64, "cut at {cut}");
        assert_eq!(torn.bytes + writer.index().bytes(), cut as u64);
        assert_eq!(torn.damaged, None, "cut at {cut}: what is cut short was not accepted");
        assert_eq!(lines(&writer, 1), whole(1..=kept));
        writer.append(&batch(&[url(kept + 1)])).unwrap();
        assert_eq!(lines(&open(dir.path(), 0).writer, 1), whole(1..=kept + 1));
    }
}

#[test]
fn a_line_whose_byte_was_changed_is_lost_with_its_batch_and_no_other_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = nine_lines(dir.path());
    let bytes = fs::read(&path).unwrap();
    for place in 0..bytes.len() {
        // The lowest bit, that of a letter's case, and the highest.
        for bit in [0, 5, 7] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            fs::write(&path, &damaged).unwrap();
            // All nine were known to be accepted.
            let writer = open(dir.path(), 9).writer;
            assert_eq!(writer.index().next(), 10);
            let read = lines(&writer, 1);
            let lost = 3 * (3 * place / bytes.len()) as u64;
            let expected: Vec<_> = whole(1..=9)
                .into_iter()
                .map(|(seq, text)| (seq, text.filter(|_| !(lost + 1..=lost + 3).contains(&seq))))
                .collect();
            // Only the case of a letter in a checksum says nothing.
            let says_nothing = bit == 5 && bytes[place].is_ascii_lowercase() && read == whole(1..=9);
            assert!(read == expected || says_nothing, "byte {place}, bit {bit}: {read:?}");
        }
    }
}

#[test]
fn an_end_that_is_not_cut_short_but_damaged_is_told_with_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = nine_lines(dir.path());
    let bytes = fs::read(&path).unwrap();
    let batch = bytes.len() / 3;
    let head = bytes[..batch].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let damaged = |places: &[usize], known| {
        let mut damaged = bytes.clone();
        places.iter().for_each(|place| damaged[*place] ^= 1);
        fs::write(&path, damaged).unwrap();
        open(dir.path(), known).torn.damaged
    };
    for place in 2 * batch + head..3 * batch {
        assert_eq!(damaged(&[place], 0), Some(Damaged { first: 7, last: Some(9) }), "byte {place}");
    }
    assert_eq!(damaged(&[2 * batch - 2, 3 * batch - 2], 0), Some(Damaged { first: 4, last: Some(9) }));
    assert_eq!(damaged(&[2 * batch], 0), Some(Damaged { first: 7, last: None }), "how many there are is not known");
    assert_eq!(damaged(&[3 * batch - 2], 8), Some(Damaged { first: 9, last: Some(9) }));
    assert_eq!(damaged(&[3 * batch - 2], 9), None, "these are lost for sure, and have records that say so");
}

#[test]
fn a_journal_that_is_gone_goes_on_with_the_next_number_and_its_lines_are_lost() {
    let dir = tempfile::tempdir().unwrap();
    fs::remove_file(nine_lines(dir.path())).unwrap();
    let mut writer = open(dir.path(), 9).writer;
    writer.append(&batch(&[url(10)])).unwrap();
    let expected: Vec<_> = (7..10).map(|seq| (seq, None)).chain(whole([10])).collect();
    assert_eq!(lines(&writer, 7), expected);
}

#[test]
fn a_segment_in_the_middle_that_is_gone_costs_its_own_lines_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0).writer;
    for seq in 1..=30 {
        writer.append(&batch(&[url(seq)])).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let first = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let gone = first(&names[1])..first(&names[2]);
    fs::remove_file(&names[1]).unwrap();
    let expected: Vec<_> =
        whole(1..=30).into_iter().map(|(seq, text)| (seq, text.filter(|_| !gone.contains(&seq)))).collect();
    assert_eq!(lines(&open(dir.path(), 0).writer, 1), expected);
}

#[test]
fn segments_of_no_size_have_a_batch_each() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut writer = Writer::open(&disk, dir.path(), 0, 0).unwrap().writer;
    for seq in 1..=3 {
        writer.append(&batch(&[url(seq)])).unwrap();
        writer.index().trim_through(seq - 1).unwrap();
        assert_eq!(lines(&writer, seq), whole([seq]));
    }
}

/// A batch of one line, with a key.
fn keyed(seq: u64) -> Batch {
    let mut batch = batch(&[url(seq)]);
    batch.set_key(key(seq));
    batch
}

fn key(seq: u64) -> BatchKey {
    BatchKey { key: format!("key-{seq}").into(), digest: [seq as u8; 32], at: 1_800_000_000 }
}

/// Whether the keys of these lines, and of no others up to 40, are known.
fn has_keys(writer: &Writer, seqs: impl IntoIterator<Item = u64>) -> bool {
    let known = (1..=40).filter(|seq| {
        let known = writer.keys().find(&key(*seq).key, key(*seq).at);
        assert!(known.is_none_or(|known| (&known.key, &known.lines) == (&key(*seq), &(*seq..=*seq))));
        known.is_some()
    });
    known.eq(seqs)
}

#[test]
fn keys_are_known_after_a_restart_whatever_segments_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0).writer;
    for seq in (1..=30).step_by(3) {
        writer.append_group(&[keyed(seq), keyed(seq + 1), keyed(seq + 2)]).unwrap();
        assert!(has_keys(&writer, 1..seq + 3));
    }
    assert!(has_keys(&open(dir.path(), 0).writer, 1..=30));
    writer.index().trim_through(29).unwrap();
    assert_eq!(RealDisk.list(dir.path()).unwrap().len(), 2, "the last segment and the keys");
    assert!(has_keys(&open(dir.path(), 29).writer, 1..=30));
    // Whoever deletes all segments has to send their lines again, but for those that are done.
    for path in RealDisk.list(dir.path()).unwrap().iter().filter(|path| path.extension().is_some()) {
        fs::remove_file(path).unwrap();
    }
    assert!(has_keys(&open(dir.path(), 20).writer, 1..=20));
}

/// Three batches of one line each, made to last by one sync; before and after them one of its own.
fn a_group(dir: &Path, has_successor: bool) -> (PathBuf, Vec<u8>) {
    let mut writer = Writer::open(&(Arc::new(RealDisk) as Arc<dyn Disk>), dir, 0, 1 << 20).unwrap().writer;
    writer.append(&keyed(1)).unwrap();
    writer.append_group(&[keyed(2), Batch::default(), keyed(3), keyed(4)]).unwrap();
    if has_successor {
        writer.append(&keyed(5)).unwrap();
    }
    let path = RealDisk.list(dir).unwrap().swap_remove(0);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

/// Where each batch begins, and where the last one ends.
fn starts(bytes: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(bytes, b"\t#").chain([bytes.len()]).collect()
}

#[test]
fn a_group_that_is_cut_at_any_byte_has_its_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = a_group(dir.path(), false);
    let starts = starts(&bytes);
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let opened = open(dir.path(), 0);
        let kept = starts[1..].iter().filter(|end| **end <= cut).count() as u64;
        assert_eq!(lines(&opened.writer, 1), whole(1..=kept), "cut at {cut}");
        assert!(has_keys(&opened.writer, 1..=kept) && opened.torn.damaged.is_none(), "cut at {cut}");
    }
}

#[test]
fn what_is_whole_behind_damage_in_the_last_group_may_never_have_been_synced() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = a_group(dir.path(), false);
    let starts = starts(&bytes);
    let damaged = |place: usize, known: u64| {
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        fs::write(&path, bytes).unwrap();
        open(dir.path(), known)
    };
    for batch in 1..3 {
        for place in starts[batch]..starts[batch + 1] {
            let kept = batch as u64;
            let OpenedJournal { writer, torn, .. } = damaged(place, 0);
            assert_eq!(lines(&writer, 1), whole(1..=kept), "byte {place}");
            assert!(has_keys(&writer, 1..=kept), "byte {place}");
            assert_eq!(torn.damaged.map(|lines| lines.first), Some(kept + 1), "byte {place}: its producer is told");
            // Nobody can have a line of it that was not accepted.
            let expected = whole(1..=4).into_iter().map(|(seq, text)| (seq, text.filter(|_| seq != kept + 1)));
            assert_eq!(lines(&damaged(place, 2).writer, 1), expected.collect::<Vec<_>>(), "byte {place}");
        }
    }
}

#[test]
fn damage_in_a_group_that_another_one_follows_costs_its_own_batch() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = a_group(dir.path(), true);
    let starts = starts(&bytes);
    for batch in 1..4 {
        let mut damaged = bytes.clone();
        damaged[starts[batch + 1] - 2] ^= 1;
        fs::write(&path, damaged).unwrap();
        let OpenedJournal { writer, torn, .. } = open(dir.path(), 0);
        let lost = batch as u64 + 1;
        let expected: Vec<_> =
            whole(1..=5).into_iter().map(|(seq, text)| (seq, text.filter(|_| seq != lost))).collect();
        assert_eq!(lines(&writer, 1), expected);
        assert_eq!(torn.bytes, 0);
        assert!(has_keys(&writer, (1..=5).filter(|seq| *seq != lost)));
    }
}

#[test]
fn a_large_batch_is_read_in_pieces() {
    const LINES: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0).writer;
    writer.append(&batch(&(1..=LINES).map(|seq| seq.to_string()).collect::<Vec<_>>())).unwrap();
    let mut reader = Reader::new(Arc::clone(writer.index()), 5);
    let mut next = 5;
    while let ReadBatch::Lines(lines) = reader.take().unwrap() {
        assert!(lines.len() <= 40_000, "{} at once", lines.len());
        for (seq, text) in lines {
            assert!(seq == next && matches!(text, Text::Whole(text) if text == seq.to_string()));
            next += 1;
        }
        assert_eq!(reader.next_seq(), next);
    }
    assert_eq!(next, LINES + 1);
}

#[test]
fn a_line_that_looks_like_a_batch_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), 0).writer;
    let strange = "http://a.test/\t#00000000 1 1 1".to_owned();
    writer.append(&batch(&[strange.clone(), url(2)])).unwrap();
    assert_eq!(lines(&open(dir.path(), 0).writer, 1), [(1, Some(strange)), (2, Some(url(2)))]);
}

/// Says that the disk is full when something is synced, once each time that a test wants it.
#[derive(Debug, Default)]
struct FullOnce {
    dirs: AtomicBool,
    files: AtomicBool,
}

fn full_once(is_full: &AtomicBool) -> io::Result<()> {
    if is_full.swap(false, Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl Tamper for FullOnce {
    fn sync(&self) -> io::Result<()> {
        full_once(&self.files)
    }

    fn sync_dir(&self) -> io::Result<()> {
        full_once(&self.dirs)
    }
}

#[test]
fn what_a_failed_sync_was_for_is_taken_back_and_done_anew() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::<FullOnce>::default();
    let disk: Arc<dyn Disk> = Arc::new(Tampered(Arc::clone(&full)));
    let mut writer = Writer::open(&disk, dir.path(), 0, SEGMENT).unwrap().writer;
    let bytes = || -> Vec<u64> {
        RealDisk.list(dir.path()).unwrap().iter().map(|path| fs::metadata(path).unwrap().len()).collect()
    };
    let twelve: Vec<_> = (1..=12).map(url).collect();
    writer.append(&batch(&twelve)).unwrap();
    let before = bytes();
    assert!(before[0] >= SEGMENT, "the next batch begins a segment");
    full.dirs.store(true, Ordering::Relaxed);
    writer.append(&batch(&[url(13)])).unwrap_err();
    assert_eq!(bytes(), before, "a name that was not synced is none");
    full.files.store(true, Ordering::Relaxed);
    writer.append(&batch(&[url(13)])).unwrap_err();
    assert_eq!(bytes(), [before[0], 0], "a batch that was not synced is none");
    assert_eq!(lines(&writer, 1), whole(1..=12));
    writer.append(&batch(&[url(13)])).unwrap();
    assert_eq!(lines(&writer, 1), whole(1..=13));
    drop(writer);
    assert_eq!(lines(&open(dir.path(), 0).writer, 1), whole(1..=13));
}

//! Records that are taken back, out of tails that are longer than the memory they may use.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fetchd::output::{Compress, Fsync, SavedPosition};
use fetchd::sink::BodyFormat;

use crate::scenario::{Scenario, append, bare, flush, recover};
use crate::tampered::{Tamper, Tampered};

/// What is copied at once, and read ahead.
const PIECE: usize = 64 << 10;

/// The text of a frame.
const FRAME: usize = 1 << 20;

/// Bytes read since the last append, and the most of them that there were at an append.
#[derive(Debug, Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Tamper for Held {
    fn read(&self, bytes: usize) {
        self.now.fetch_add(bytes, Ordering::Relaxed);
    }

    fn append(&self, bytes: usize) -> std::io::Result<usize> {
        let read = self.now.swap(0, Ordering::Relaxed);
        self.most.fetch_max(read.max(bytes), Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A record of a source that is not remembered, with something that cannot be compressed.
fn foreign(seq: u64, random: &mut fastrand::Rng) -> String {
    let noise: String = std::iter::repeat_with(|| random.alphanumeric()).take(200).collect();
    bare(seq).replace("urls", "other").replace("http://", &format!("http://{noise}."))
}

/// Takes back all records of the remembered source from an output that has others between them and behind them. What was
/// held at most comes back, and how long the tail was.
fn take_back(compress: Compress, file: &str) -> (usize, u64) {
    const RECORDS: u64 = 20_000;
    let held = Arc::<Held>::default();
    let scenario = Scenario::on(Arc::new(Tampered(Arc::clone(&held))));
    let all = scenario.sink("all.jsonl", |jsonl| jsonl.fsync = Fsync::Never);
    let bodiless = scenario.sink("bare.jsonl", |jsonl| {
        jsonl.body = Some(BodyFormat::None);
        jsonl.compress = compress;
        jsonl.fsync = Fsync::Never;
    });
    let mut opened = [scenario.open(&all, SavedPosition::New), scenario.open(&bodiless, SavedPosition::New)];
    let positions = opened.each_mut().map(flush);
    let (mut kept, mut random) = (String::new(), fastrand::Rng::with_seed(1));
    for seq in 1..=RECORDS {
        if seq <= RECORDS / 2 {
            append(&mut opened[1], &bare(seq));
        }
        let record = foreign(seq, &mut random);
        append(&mut opened[1], &record);
        kept += &record;
    }
    let length = flush(&mut opened[1]).length;
    drop(opened);
    let [of_all, of_bodiless] = positions.map(|position| SavedPosition::Until(vec![position]));
    let mut opened = [scenario.open(&all, of_all), scenario.open(&bodiless, of_bodiless)];
    held.now.store(0, Ordering::Relaxed);
    held.most.store(0, Ordering::Relaxed);
    assert_eq!(recover(&mut opened), [0; 0]);
    assert!(scenario.text(file) == kept, "{compress:?}");
    assert_eq!(fs::read_dir(scenario.dir.path()).unwrap().count(), 2);
    (held.most.load(Ordering::Relaxed), length)
}

#[test]
fn a_file_is_rewritten_in_pieces() {
    let (most, length) = take_back(Compress::None, "bare.jsonl");
    assert!(most <= 2 * PIECE && length > 32 * PIECE as u64, "{most} of {length}");
}

#[test]
fn a_compressed_file_is_rewritten_frame_by_frame() {
    for (compress, file) in
        [(Compress::Gzip, "bare-000001.jsonl.gz.part"), (Compress::Zstd, "bare-000001.jsonl.zst.part")]
    {
        let (most, length) = take_back(compress, file);
        assert!(most <= FRAME + 2 * PIECE && length > 2 * FRAME as u64, "{most} of {length}");
    }
}

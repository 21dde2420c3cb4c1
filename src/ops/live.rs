//! A sink that shows live records to readers of the API. It never blocks, and costs almost nothing without readers.
//!
//! Each of at most four readers gets JSON lines without bodies: 100 a second, 64 KiB at once, and `{"dropped": N}` in
//! place of records that it missed. The sink also keeps the last 20 records that are not `ok`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::failures::Failures;
use crate::error::BoxError;
use crate::item::Record;
use crate::sink::{BodyFormat, Content, Encoder, Sink, Style, Wanted};

/// The most readers at once.
const MOST_READERS: usize = 4;

/// Records a second for one reader.
const PER_SECOND: f64 = 100.0;

/// Bytes that wait for one reader.
const MOST_BYTES: usize = 64 << 10;

/// The live records of a run; clones share them.
#[derive(Clone, Default)]
pub struct LiveRecords {
    readers: Arc<Readers>,
    failures: Failures,
}

#[derive(Default)]
struct Readers {
    /// The number of readers, so that a run without readers takes no lock.
    number: AtomicUsize,
    all: Mutex<Vec<Arc<Reader>>>,
}

/// A reader of live records.
struct Reader {
    wanted: Wanted,
    waiting: Mutex<Waiting>,
    news: Notify,
}

/// The queue and the rate limit of a reader.
struct Waiting {
    lines: Vec<u8>,
    /// Records that the reader missed since the last of these lines.
    dropped: u64,
    tokens: f64,
    filled: Instant,
}

/// The reader's end, until it is dropped.
pub(super) struct Watching {
    readers: Arc<Readers>,
    reader: Arc<Reader>,
}

/// The sink's end.
struct LiveSink {
    live: LiveRecords,
    encoder: Encoder,
}

impl LiveRecords {
    /// The sink that receives the records. `epoch` is the start of the run.
    pub fn sink(&self, epoch: jiff::Timestamp) -> Box<dyn Sink> {
        let content = Content { body: BodyFormat::None, headers: false, digest: false };
        let encoder = Encoder::new(Style { content, epoch }, Wanted::All, None);
        Box::new(LiveSink { live: self.clone(), encoder })
    }

    /// The last records that are not `ok`.
    pub(super) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Adds a reader; `None` if there are four already.
    pub(super) fn watch(&self, wanted: Wanted) -> Option<Watching> {
        let mut all = locked(&self.readers.all);
        if all.len() >= MOST_READERS {
            return None;
        }
        let waiting = Waiting { lines: Vec::new(), dropped: 0, tokens: PER_SECOND, filled: Instant::now() };
        let reader = Arc::new(Reader { wanted, waiting: Mutex::new(waiting), news: Notify::new() });
        all.push(Arc::clone(&reader));
        self.readers.number.store(all.len(), Ordering::Relaxed);
        Some(Watching { readers: Arc::clone(&self.readers), reader })
    }
}

impl Sink for LiveSink {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        self.live.failures.add(batch);
        if self.live.readers.number.load(Ordering::Relaxed) > 0 {
            let now = Instant::now();
            // Each is encoded once, and only if a reader has room.
            let mut lines = vec![Vec::new(); batch.len()];
            for reader in locked(&self.live.readers.all).iter() {
                show(batch, &mut lines, reader, &self.encoder, now);
            }
        }
        async { Ok(()) }.boxed()
    }
}

/// Offers records to a reader. Most are beyond its rate, and must cost next to nothing.
fn show(batch: &[Box<Record>], lines: &mut [Vec<u8>], reader: &Reader, encoder: &Encoder, now: Instant) {
    let mut waiting = locked(&reader.waiting);
    waiting.earn(now);
    let before = waiting.lines.len();
    for (record, line) in batch.iter().zip(lines).filter(|(record, _)| reader.wanted.takes(record.outcome)) {
        if !waiting.may_take() {
            waiting.dropped += 1;
        } else if !line.is_empty() || encoder.encode(record, line).is_ok() {
            waiting.take(line);
        }
    }
    if waiting.lines.len() > before {
        drop(waiting);
        reader.news.notify_one();
    }
}

impl Waiting {
    /// Adds the tokens for the time that has passed.
    fn earn(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * PER_SECOND).min(PER_SECOND);
        self.filled = now;
    }

    /// Whether the reader has a token and room.
    fn may_take(&self) -> bool {
        self.tokens >= 1.0 && self.lines.len() < MOST_BYTES
    }

    fn take(&mut self, line: &[u8]) {
        if self.lines.len() + line.len() > MOST_BYTES {
            self.dropped += 1;
            return;
        }
        self.tokens -= 1.0;
        self.say_dropped();
        self.lines.extend_from_slice(line);
    }

    fn say_dropped(&mut self) {
        if self.dropped > 0 {
            self.lines.extend_from_slice(format!("{{\"dropped\":{}}}\n", self.dropped).as_bytes());
            self.dropped = 0;
        }
    }
}

impl Watching {
    /// The next lines.
    pub async fn next(&self) -> Bytes {
        /// After this time a reader gets the count of records that it missed, even if no more come.
        const QUIET: Duration = Duration::from_secs(1);
        loop {
            let is_quiet = timeout(QUIET, self.reader.news.notified()).await.is_err();
            let mut waiting = locked(&self.reader.waiting);
            if is_quiet {
                waiting.say_dropped();
            }
            if !waiting.lines.is_empty() {
                return Bytes::from(std::mem::take(&mut waiting.lines));
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut all = locked(&self.readers.all);
        all.retain(|reader| !Arc::ptr_eq(reader, &self.reader));
        self.readers.number.store(all.len(), Ordering::Relaxed);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Echo, ErrorKind, Identity, Outcome, Rejection};

    #[expect(clippy::vec_box, reason = "a sink gets them so")]
    fn records(seqs: std::ops::Range<u64>, text: &str) -> Vec<Box<Record>> {
        let record = |seq| {
            let id = Identity { state_id: None, source: None, file: None, seq, round: 0 };
            let echo = Echo::text(text);
            let rejection = Rejection { kind: ErrorKind::InvalidUrl, message: "no URL".to_owned() };
            Box::new(Record::rejected(id, echo, rejection))
        };
        seqs.map(record).collect()
    }

    async fn lines(watching: &Watching) -> Vec<serde_json::Value> {
        let bytes = watching.next().await;
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_a_hundred_a_second_and_is_told_what_it_missed() {
        let live = LiveRecords::default();
        let mut sink = live.sink(jiff::Timestamp::UNIX_EPOCH);
        sink.write(&records(0..5, "a")).await.unwrap();
        let watching = live.watch(Wanted::All).unwrap();
        sink.write(&records(5..255, "a")).await.unwrap();
        let first = lines(&watching).await;
        assert_eq!((first.len(), &first[0]["seq"], &first[99]["seq"]), (100, &5.into(), &104.into()));
        tokio::time::advance(Duration::from_millis(100)).await;
        sink.write(&records(255..300, "a")).await.unwrap();
        let then = lines(&watching).await;
        assert_eq!((then.len(), &then[0]["dropped"], &then[1]["seq"]), (11, &150.into(), &255.into()));
        assert_eq!(lines(&watching).await, [serde_json::json!({ "dropped": 35 })], "after a second without records");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_holds_64_kib_and_no_more() {
        let live = LiveRecords::default();
        let mut sink = live.sink(jiff::Timestamp::UNIX_EPOCH);
        let watching = live.watch(Wanted::NotOk).unwrap();
        for second in 0..20 {
            sink.write(&records(second * 100..second * 100 + 100, &"x".repeat(900))).await.unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(locked(&watching.reader.waiting).lines.len() <= MOST_BYTES);
        }
        let held = lines(&watching).await.len();
        let missed = lines(&watching).await;
        assert_eq!(missed, [serde_json::json!({ "dropped": 2000 - held })]);
    }

    #[tokio::test]
    async fn four_may_watch_and_one_that_left_makes_room() {
        let live = LiveRecords::default();
        let mut watching: Vec<_> = (0..4).filter_map(|_| live.watch(Wanted::All)).collect();
        assert!(watching.len() == 4 && live.watch(Wanted::All).is_none());
        watching.pop();
        assert!(live.watch(Wanted::Ok).is_some());
        drop(watching);
        assert_eq!(live.readers.number.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_only_the_outcomes_that_it_asked_for() {
        let live = LiveRecords::default();
        let mut sink = live.sink(jiff::Timestamp::UNIX_EPOCH);
        let (ok, not_ok) = (live.watch(Wanted::Ok).unwrap(), live.watch(Wanted::NotOk).unwrap());
        let mut batch = records(0..2, "a");
        batch[0].outcome = Outcome::Ok;
        sink.write(&batch).await.unwrap();
        assert_eq!(lines(&ok).await[0]["seq"], 0);
        assert_eq!(lines(&not_ok).await[0]["seq"], 1);
    }
}

//! Idempotency keys of accepted batches: a producer that repeats a batch under its key adds nothing.
//!
//! A batch has its key in its own head, so both are accepted or neither is. The keys of all segments but the last are
//! in the file `keys` beside them, which is written and synced before a segment gets a successor. So this file and the
//! last segment have all keys, whichever segments are deleted. Pure except for [`KeyTable::load`] and
//! [`KeyTable::save`]; the caller passes the time.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::segments::read;
use crate::disk::{Disk, Mode, SyncPoint, append_all};
use crate::item::{sha256_of_hex, to_hex};

/// How many keys are kept.
const MOST_KEYS: usize = 10_000;

/// How long a key is kept, in seconds.
const MOST_AGE: u64 = 24 * 3600;

/// The name of the file of keys.
const NAME: &str = "keys";

/// The idempotency key of a batch, with the digest of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchKey {
    /// The key as its producer wrote it, of at most [`BatchKey::LONGEST`] bytes: visible ASCII.
    pub key: Arc<str>,
    /// The SHA-256 of the decoded body.
    pub digest: [u8; 32],
    /// When the batch was accepted, in seconds since 1970.
    pub at: u64,
}

impl BatchKey {
    /// The most bytes of a key.
    pub const LONGEST: usize = 255;
}

/// The words of the key in the head of a batch and in the file of keys.
impl fmt::Display for BatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key={} digest={} at={}", self.key, to_hex(&self.digest), self.at)
    }
}

/// The words of a key while they are read.
#[derive(Debug, Default)]
pub(super) struct KeyWords {
    key: Option<Arc<str>>,
    digest: Option<[u8; 32]>,
    at: Option<u64>,
}

impl KeyWords {
    /// Notes a word of a key and ignores others.
    pub fn take(&mut self, name: &str, value: &str) {
        match name {
            "key" => self.key = Some(value.into()),
            "digest" => self.digest = sha256_of_hex(value),
            "at" => self.at = value.parse().ok(),
            _ => {}
        }
    }

    /// The key, if all of its words were there.
    pub fn finish(self) -> Option<BatchKey> {
        Some(BatchKey { key: self.key?, digest: self.digest?, at: self.at? })
    }
}

/// A batch that was accepted under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedBatch {
    /// Its key.
    pub key: BatchKey,
    /// The numbers of its lines.
    pub lines: RangeInclusive<u64>,
}

/// The remembered keys, with their batches.
#[derive(Debug, Default)]
pub struct KeyTable {
    by_key: HashMap<Arc<str>, KeyedBatch>,
    /// The keys by the first line numbers of their batches, the oldest first.
    in_order: BTreeMap<u64, Arc<str>>,
    /// Whether the file of keys lacks some keys.
    is_unsaved: bool,
}

impl KeyTable {
    /// The batch that was accepted under a key, unless the key has expired.
    pub fn find(&self, key: &str, now: u64) -> Option<&KeyedBatch> {
        self.by_key.get(key).filter(|batch| !is_old(batch, now))
    }

    /// Remembers the newest batch, and forgets batches that are too old or too many.
    pub fn insert(&mut self, batch: KeyedBatch) {
        let (key, first, now) = (Arc::clone(&batch.key.key), *batch.lines.start(), batch.key.at);
        if let Some(before) = self.by_key.insert(Arc::clone(&key), batch) {
            self.in_order.remove(before.lines.start());
        }
        self.in_order.insert(first, key);
        self.is_unsaved = true;
        while let Some((_, key)) = self.in_order.first_key_value()
            && (self.by_key.len() > MOST_KEYS || self.by_key.get(key).is_none_or(|oldest| is_old(oldest, now)))
            && let Some((_, key)) = self.in_order.pop_first()
        {
            self.by_key.remove(&key);
        }
    }

    /// Loads the file of keys of a journal, if there is one. A damaged line costs its own key.
    pub(super) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let file = match disk.open(&dir.join(NAME), Mode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file?,
        };
        let text = read(file.as_ref(), 0, file.length()?)?;
        let (mut table, mut damaged) = (Self::default(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match parse(line) {
                Some(batch) => table.insert(batch),
                None => damaged += 1,
            }
        }
        if damaged > 0 {
            let path = dir.join(NAME);
            tracing::warn!(path = %path.display(), "{} is damaged: idempotency keys in {damaged} of its lines are forgotten", path.display());
        }
        table.is_unsaved = false;
        Ok(table)
    }

    /// Writes and syncs the file of keys, if it lacks some.
    ///
    /// # Errors
    /// When the disk fails; the old file is kept then.
    pub(super) fn save(&mut self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        if !self.is_unsaved {
            return Ok(());
        }
        let batches = self.in_order.values().filter_map(|key| self.by_key.get(key));
        let text: String = batches.map(line).collect();
        let (path, new) = (dir.join(NAME), dir.join(format!("{NAME}.new")));
        let file = disk.open(&new, Mode::Append)?;
        file.set_len(0)?;
        append_all(file.as_ref(), text.as_bytes(), 0)?;
        file.sync(SyncPoint::KeysFile)?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir, SyncPoint::KeysName)?;
        self.is_unsaved = false;
        Ok(())
    }

    /// Forgets the batches that have a line after `last`.
    pub(super) fn forget_after(&mut self, last: u64) {
        self.by_key.retain(|_, batch| *batch.lines.end() <= last);
        self.in_order.retain(|_, key| self.by_key.contains_key(key));
    }
}

/// Whether a key has expired. A clock that was set back makes no key older.
fn is_old(batch: &KeyedBatch, now: u64) -> bool {
    now.saturating_sub(batch.key.at) >= MOST_AGE
}

/// A line of the file: the checksum of what follows, the numbers of the lines, and the words of the key.
fn line(KeyedBatch { key, lines }: &KeyedBatch) -> String {
    let rest = format!(" {} {} {key}\n", lines.start(), lines.end());
    format!("{:08x}{rest}", crc32fast::hash(rest.as_bytes()))
}

fn parse(line: &[u8]) -> Option<KeyedBatch> {
    let (sum, rest) = std::str::from_utf8(line).ok()?.split_at_checked(8)?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(rest.as_bytes()) {
        return None;
    }
    let mut words = rest.strip_suffix('\n')?.strip_prefix(' ')?.split(' ');
    let lines = words.next()?.parse().ok()?..=words.next()?.parse().ok()?;
    let mut key = KeyWords::default();
    words.filter_map(|word| word.split_once('=')).for_each(|(name, value)| key.take(name, value));
    Some(KeyedBatch { key: key.finish()?, lines })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::RealDisk;

    fn batch(key: &str, first: u64, at: u64) -> KeyedBatch {
        KeyedBatch { key: BatchKey { key: key.into(), digest: [first as u8; 32], at }, lines: first..=first + 1 }
    }

    proptest! {
        #[test]
        fn a_key_stands_for_the_last_batch_under_it_until_it_is_old(
            steps in proptest::collection::vec((0..5u8, 0..MOST_AGE), 1..40)
        ) {
            let (mut table, mut model, mut now) = (KeyTable::default(), BTreeMap::<String, KeyedBatch>::new(), 0);
            for (place, (key, time)) in steps.into_iter().enumerate() {
                now += time / 4;
                let key = format!("key-{key}");
                let batch = batch(&key, 1 + 2 * place as u64, now);
                table.insert(batch.clone());
                model.insert(key, batch);
                for key in (0..5).map(|key| format!("key-{key}")) {
                    let known = model.get(&key).filter(|batch| now - batch.key.at < MOST_AGE);
                    prop_assert_eq!(table.find(&key, now), known);
                }
                prop_assert_eq!(table.by_key.len(), table.in_order.len());
            }
        }

        #[test]
        fn what_is_saved_is_loaded(keys in proptest::collection::vec("[!-~]{1,255}", 0..8)) {
            let dir = tempfile::tempdir().unwrap();
            let mut table = KeyTable::default();
            for (key, first) in keys.iter().zip((1..).step_by(2)) {
                table.insert(batch(key, first, 1_800_000_000));
            }
            table.save(&RealDisk, dir.path()).unwrap();
            let loaded = KeyTable::load(&RealDisk, dir.path()).unwrap();
            prop_assert_eq!(loaded.by_key, table.by_key);
            prop_assert_eq!(loaded.in_order, table.in_order);
        }
    }

    #[test]
    fn only_the_last_ten_thousand_keys_are_kept() {
        let mut table = KeyTable::default();
        for n in 0..=MOST_KEYS as u64 {
            table.insert(batch(&n.to_string(), 1 + 2 * n, 7));
        }
        assert_eq!(table.by_key.len(), MOST_KEYS);
        assert!(table.find("0", 7).is_none() && table.find("1", 7).is_some());
    }

    #[test]
    fn a_damaged_line_costs_its_own_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = KeyTable::default();
        for (key, first) in [("a", 1), ("b", 3), ("c", 5)] {
            table.insert(batch(key, first, 7));
        }
        table.save(&RealDisk, dir.path()).unwrap();
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let left = KeyTable::load(&RealDisk, dir.path()).unwrap();
            let is_joined = whole[place] == b'\n' && place + 1 < whole.len();
            assert_eq!(left.by_key.len(), if is_joined { 1 } else { 2 }, "byte {place}");
            assert!(left.by_key.values().all(|batch| table.find(&batch.key.key, 7) == Some(batch)));
        }
    }

    #[test]
    fn a_table_without_keys_writes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        KeyTable::default().save(disk.as_ref(), dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

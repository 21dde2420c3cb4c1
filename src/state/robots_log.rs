//! The robots log: the robots.txt rules of sites as JSON lines in the data directory, for the next run. The last line
//! of a site counts.
//!
//! A line is appended before the first request under its Crawl-delay. It survives a kill, and a crash of the system
//! only costs another fetch, so nothing is fsynced. A full log replaces the old log: two logs hold as much as the cache
//! of rules.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskFile, Mode, append_all};
use crate::schedule::{KnownRobots, KnownRules};
use crate::units::Span;

/// The log, and the old log.
pub(super) const NAMES: [&str; 2] = ["robots.jsonl", "robots.old.jsonl"];

/// A line of the log.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    site: Arc<str>,
    agent: String,
    fetched: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crawl_delay: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<KnownRules>,
}

impl Entry {
    fn new(known: &KnownRobots, now: Timestamp) -> Self {
        let KnownRobots { site, agent, age, crawl_delay, rules } = known.clone();
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let fetched = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let crawl_delay = Some(Span(crawl_delay)).filter(|delay| !delay.0.is_zero());
        Self { site, agent, fetched, crawl_delay, rules }
    }

    /// Converts the entry. If the clock jumped back, it counts as fetched now.
    fn known(self, now: Timestamp) -> KnownRobots {
        let Self { site, agent, fetched, crawl_delay, rules } = self;
        let age = Duration::try_from(now.duration_since(fetched)).unwrap_or_default();
        KnownRobots { site, agent, age, crawl_delay: crawl_delay.map_or(Duration::ZERO, |delay| delay.0), rules }
    }
}

/// The log of one data directory.
#[derive(Debug)]
pub(super) struct RobotsLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The most bytes of one file.
    most: u64,
    /// The file, opened at the first write, and its length.
    file: Option<(Arc<dyn DiskFile>, u64)>,
}

impl RobotsLog {
    /// The log of a directory, with at most `most` bytes in each of its two files.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, most: u64) -> Self {
        Self { disk, dir: dir.to_owned(), most, file: None }
    }

    /// Loads the rules of previous runs, the oldest first, at most `most` bytes of both files.
    pub fn load(&self, now: Timestamp) -> Vec<KnownRobots> {
        let [new, old] = NAMES.map(|name| self.disk.open(&self.dir.join(name), Mode::Read).ok());
        let length = |file: &Option<Arc<dyn DiskFile>>| file.as_ref().and_then(|file| file.length().ok()).unwrap_or(0);
        let skip = (length(&new) + length(&old)).saturating_sub(self.most);
        let mut known = Vec::new();
        for (file, skip) in [(old, skip), (new, 0)] {
            // An unreadable log counts as missing.
            if let Some(file) = file {
                let _ = each_line(file.as_ref(), skip, |line| {
                    // The first and the last line may be partial.
                    known.extend(serde_json::from_slice(line).ok().map(|entry: Entry| entry.known(now)));
                });
            }
        }
        known
    }

    /// Appends the rules of a site.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn append(&mut self, known: &KnownRobots, now: Timestamp) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Entry::new(known, now))?;
        line.push(b'\n');
        if self.file.as_ref().is_some_and(|(_, length)| length + line.len() as u64 > self.most) {
            self.file = None;
            let [new, old] = NAMES.map(|name| self.dir.join(name));
            self.disk.rename(&new, &old)?;
        }
        let (file, length) = match &mut self.file {
            Some(open) => open,
            None => self.file.insert(self.open()?),
        };
        append_all(file.as_ref(), &line, *length)?;
        *length += line.len() as u64;
        Ok(())
    }

    fn open(&self) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        let file = self.disk.open(&self.dir.join(NAMES[0]), Mode::Append)?;
        let mut length = file.length()?;
        let mut last = [b'\n'];
        file.read_at(&mut last, length.saturating_sub(1))?;
        if last != [b'\n'] {
            // A killed process has left a partial line.
            append_all(file.as_ref(), b"\n", length)?;
            length += 1;
        }
        Ok((file, length))
    }
}

/// Reads a file from this offset on, line by line.
fn each_line(file: &dyn DiskFile, mut offset: u64, mut line: impl FnMut(&[u8])) -> io::Result<()> {
    const PIECE: usize = 64 << 10;
    let mut text = Vec::new();
    loop {
        let end = text.len();
        text.resize(end + PIECE, 0);
        let n = file.read_at(&mut text[end..], offset)?;
        text.truncate(end + n);
        offset += n as u64;
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1);
        text[..whole].split(|byte| *byte == b'\n').filter(|text| !text.is_empty()).for_each(&mut line);
        text.drain(..whole);
        if n == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    const MOST: u64 = 10_000;

    fn robots(n: usize) -> KnownRobots {
        KnownRobots {
            site: format!("http://{n}.test").into(),
            agent: "fetchd".to_owned(),
            age: Duration::ZERO,
            crawl_delay: Duration::from_millis(1500),
            rules: Some(KnownRules { allow: vec!["/a*\u{1}$".to_owned()], disallow: vec!["/".repeat(n)] }),
        }
    }

    #[test]
    fn however_much_is_written_the_disk_is_bounded_and_the_newest_come_back() {
        let (dir, now) = (tempfile::tempdir().unwrap(), Timestamp::now());
        for n in 0..200 {
            // A killed process leaves a partial line, which does not affect others.
            let mut log = RobotsLog::new(Arc::new(RealDisk), dir.path(), MOST);
            log.append(&robots(n), now).unwrap();
            log.append(&robots(n), now).unwrap();
            let (file, length) = log.file.take().unwrap();
            append_all(file.as_ref(), br#"{"site":"htt"#, length).unwrap();
            let files = NAMES.map(|name| std::fs::metadata(dir.path().join(name)).map_or(0, |file| file.len()));
            assert!(files.iter().all(|bytes| *bytes <= MOST + 1000), "{files:?}");
        }
        let known = RobotsLog::new(Arc::new(RealDisk), dir.path(), MOST).load(now);
        assert_eq!(known.last(), Some(&robots(199)));
        let bytes: usize = known.iter().map(|known| serde_json::to_vec(&Entry::new(known, now)).unwrap().len()).sum();
        assert!((MOST as usize / 2..=MOST as usize).contains(&bytes), "{bytes} bytes came back");
    }

    #[test]
    fn a_file_is_as_old_as_the_clock_says_and_no_younger_than_new() {
        let (dir, now) = (tempfile::tempdir().unwrap(), Timestamp::now());
        let mut log = RobotsLog::new(Arc::new(RealDisk), dir.path(), MOST);
        log.append(&robots(1), now).unwrap();
        for (later, age) in [(0, 0), (3600, 3600), (-3600, 0)] {
            let known = log.load(now + SignedDuration::from_secs(later));
            assert_eq!(known[0].age, Duration::from_secs(age));
        }
    }
}

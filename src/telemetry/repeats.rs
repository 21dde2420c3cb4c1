//! Which log lines are written and which are only counted. A kind of line is written at once a few times in a window; what
//! comes after that is counted, and one summary at the end of the window says how many there were.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use tracing::Level;

use crate::units::counted;

/// How long lines of a kind are counted until a summary says so.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Lines of a kind that are written at once in a window: the hosts of a small trouble are all named.
pub(super) const WRITTEN: u32 = 5;

/// Kinds that are counted; lines of others are all written.
pub(super) const KINDS: usize = 64;

/// Hosts, sinks and so on of a kind that are told apart in a window.
pub(super) const SUBJECTS: usize = 1024;

/// A log line that may repeat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occurrence<'a> {
    /// Its kind.
    pub event: &'a str,
    pub level: Level,
    /// A thing that it is about.
    pub subject: Option<Subject>,
}

/// What a log line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The noun for it: `host`, `sink`.
    pub noun: &'static str,
    /// A hash of its name.
    pub hash: u64,
}

/// What becomes of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Write,
    Count,
}

/// The lines of a kind that were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub event: String,
    pub level: Level,
    pub lines: u64,
    /// How long they were counted.
    pub time: Duration,
    pub subjects: Option<Subjects>,
}

/// How many things the lines were about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subjects {
    noun: &'static str,
    number: usize,
}

/// The kinds that came lately. Times are since a start of the caller's.
#[derive(Debug, Default)]
pub(super) struct Repeats(BTreeMap<String, Window>);

#[derive(Debug)]
struct Window {
    start: Duration,
    written: u32,
    counted: u64,
    level: Level,
    noun: Option<&'static str>,
    hashes: HashSet<u64>,
}

impl Repeats {
    /// Decides about a line.
    pub fn note(&mut self, line: Occurrence<'_>, now: Duration) -> Verdict {
        self.0.retain(|_, window| !window.is_over(now) || window.counted > 0);
        if let Some(window) = self.0.get_mut(line.event) {
            return window.note(line);
        }
        if self.0.len() < KINDS {
            self.0.insert(line.event.to_owned(), Window::new(line.level, now, 1));
        }
        Verdict::Write
    }

    /// When the next summary may be due.
    pub fn next_due(&self) -> Option<Duration> {
        self.0.values().filter(|window| window.counted > 0).map(|window| window.start + WINDOW).min()
    }

    /// The summaries of the windows that are over. A kind that went on until now is only counted in its next window.
    pub fn take_due(&mut self, now: Duration) -> Vec<Summary> {
        self.take(now, |window| window.is_over(now))
    }

    /// The summaries of all windows: nothing comes any more.
    pub fn take_all(&mut self, now: Duration) -> Vec<Summary> {
        self.take(now, |_| true)
    }

    fn take(&mut self, now: Duration, is_due: impl Fn(&Window) -> bool) -> Vec<Summary> {
        let due = self.0.iter_mut().filter(|(_, window)| window.counted > 0 && is_due(window));
        due.map(|(event, window)| {
            let next = Window::new(window.level, now, WRITTEN);
            std::mem::replace(window, next).summary(event, now)
        })
        .collect()
    }
}

impl Window {
    fn new(level: Level, start: Duration, written: u32) -> Self {
        Self { start, written, counted: 0, level, noun: None, hashes: HashSet::new() }
    }

    fn is_over(&self, now: Duration) -> bool {
        now >= self.start + WINDOW
    }

    fn note(&mut self, line: Occurrence<'_>) -> Verdict {
        if self.written < WRITTEN {
            self.written += 1;
            return Verdict::Write;
        }
        self.counted += 1;
        if let Some(Subject { noun, hash }) = line.subject {
            self.noun = Some(noun);
            if self.hashes.len() < SUBJECTS {
                self.hashes.insert(hash);
            }
        }
        Verdict::Count
    }

    fn summary(self, event: &str, now: Duration) -> Summary {
        let subjects = self.noun.map(|noun| Subjects { noun, number: self.hashes.len() });
        let time = now.saturating_sub(self.start);
        Summary { event: event.to_owned(), level: self.level, lines: self.counted, time, subjects }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs().max(1);
        write!(f, "{} more like this in {seconds} s: {}", crate::units::grouped(self.lines), self.event)?;
        match self.subjects {
            Some(Subjects { noun, number: SUBJECTS }) => write!(f, ", {} or more", counted(SUBJECTS as u64, noun)),
            Some(Subjects { noun, number }) => write!(f, ", {}", counted(number as u64, noun)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: [&str; 3] = ["circuit_open", "disk_full", "panic"];

    fn line(event: &str, host: u64) -> Occurrence<'_> {
        let subject = Some(Subject { noun: "host", hash: host });
        Occurrence { event, level: Level::WARN, subject }
    }

    #[test]
    fn a_storm_is_a_few_lines_and_one_summary_a_window() {
        let mut repeats = Repeats::default();
        let at = Duration::from_millis;
        let written = (0..317).filter(|n| repeats.note(line("circuit_open", n % 41), at(*n)) == Verdict::Write).count();
        assert_eq!(written, WRITTEN as usize);
        assert_eq!(repeats.take_due(at(9_999)), []);
        assert_eq!(repeats.next_due(), Some(WINDOW));
        let said: Vec<_> = repeats.take_due(WINDOW).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["312 more like this in 10 s: circuit_open, 41 hosts"]);
        assert_eq!(repeats.next_due(), None, "nothing came since");
    }

    #[test]
    fn a_kind_beyond_the_bound_is_written_each_time() {
        let mut repeats = Repeats::default();
        for n in 0..KINDS {
            assert_eq!(repeats.note(line(&format!("kind_{n}"), 0), WINDOW), Verdict::Write);
        }
        for _ in 0..=WRITTEN {
            assert_eq!(repeats.note(line("one_more", 0), WINDOW), Verdict::Write);
        }
        assert_eq!(repeats.0.len(), KINDS);
    }

    #[test]
    fn subjects_beyond_the_bound_are_said_to_be_more() {
        let mut repeats = Repeats::default();
        for host in 0..3000 {
            repeats.note(line("circuit_open", host), Duration::ZERO);
        }
        let said = repeats.take_all(Duration::from_millis(200))[0].to_string();
        assert_eq!(said, "2,995 more like this in 1 s: circuit_open, 1,024 hosts or more");
    }

    proptest! {
        #[test]
        fn each_line_is_written_or_counted_once_and_after_a_quiet_window_at_once(
            lines in prop::collection::vec((0usize..3, prop_oneof![9 => 0u64..1_000, 1 => 0u64..40_000]), 0..400),
        ) {
            let mut repeats = Repeats::default();
            let mut now = Duration::ZERO;
            let (mut came, mut written, mut summed) = ([0u64; 3], [0u64; 3], [0u64; 3]);
            let mut last: [Option<Duration>; 3] = [None; 3];
            let mut sum = |summaries: Vec<Summary>| for summary in summaries {
                let kind = EVENTS.iter().position(|event| *event == summary.event).unwrap();
                summed[kind] += summary.lines;
            };
            for (kind, later) in lines {
                now += Duration::from_millis(later);
                while let Some(due) = repeats.next_due().filter(|due| *due <= now) {
                    sum(repeats.take_due(due));
                }
                let verdict = repeats.note(line(EVENTS[kind], 0), now);
                let is_quiet = last[kind].is_none_or(|last| now >= last + 2 * WINDOW);
                prop_assert!(!is_quiet || verdict == Verdict::Write);
                came[kind] += 1;
                written[kind] += u64::from(verdict == Verdict::Write);
                last[kind] = Some(now);
            }
            sum(repeats.take_all(now));
            let windows = now.as_secs() / WINDOW.as_secs() + 1;
            for kind in 0..EVENTS.len() {
                prop_assert_eq!(came[kind], written[kind] + summed[kind]);
                prop_assert!(written[kind] <= windows * u64::from(WRITTEN));
            }
        }
    }
}

//! Decides which log lines are written and which are only counted. The first few lines of a kind in a window are
//! written; the others are counted, and a summary at the end of the window contains their number.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use tracing::Level;

use crate::units::counted;

/// The time for which lines of a kind are counted before a summary.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Lines of a kind that are written in a window: enough to name all hosts of a small problem.
pub(super) const WRITTEN: u32 = 5;

/// The most kinds that are counted; lines of other kinds are all written.
pub(super) const KINDS: usize = 64;

/// The most distinct hosts, sinks and so on of a kind in a window.
pub(super) const SUBJECTS: usize = 1024;

/// A log line that may repeat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occurrence<'a> {
    /// The kind of the line.
    pub event: &'a str,
    pub level: Level,
    /// The subject of the line.
    pub subject: Option<Subject>,
}

/// The subject of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The noun: `host`, `sink`.
    pub noun: &'static str,
    /// A hash of the name.
    pub hash: u64,
}

/// Whether a log line is written or counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Write,
    Count,
}

/// A summary of the counted lines of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub event: String,
    pub level: Level,
    pub lines: u64,
    /// The duration of the count.
    pub time: Duration,
    pub subjects: Option<Subjects>,
}

/// The number of distinct subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subjects {
    noun: &'static str,
    number: usize,
}

/// The recent kinds of log lines. Times are relative to a start of the caller's choice.
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
    /// Decides whether a line is written or counted.
    pub fn note(&mut self, line: Occurrence<'_>, now: Duration) -> Action {
        self.0.retain(|_, window| !window.is_over(now) || window.counted > 0);
        if let Some(window) = self.0.get_mut(line.event) {
            return window.note(line);
        }
        if self.0.len() < KINDS {
            self.0.insert(line.event.to_owned(), Window::new(line.level, now, 1));
        }
        Action::Write
    }

    /// The time at which the next summary may be due.
    pub fn next_due(&self) -> Option<Duration> {
        self.0.values().filter(|window| window.counted > 0).map(|window| window.start + WINDOW).min()
    }

    /// The summaries of windows that are over. In its next window, a kind that repeated until now is only counted.
    pub fn take_due(&mut self, now: Duration) -> Vec<Summary> {
        self.take(now, |window| window.is_over(now))
    }

    /// The summaries of all windows, at the end of the log.
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

    fn note(&mut self, line: Occurrence<'_>) -> Action {
        if self.written < WRITTEN {
            self.written += 1;
            return Action::Write;
        }
        self.counted += 1;
        if let Some(Subject { noun, hash }) = line.subject {
            self.noun = Some(noun);
            if self.hashes.len() < SUBJECTS {
                self.hashes.insert(hash);
            }
        }
        Action::Count
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
        let written = (0..317).filter(|n| repeats.note(line("circuit_open", n % 41), at(*n)) == Action::Write).count();
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
            assert_eq!(repeats.note(line(&format!("kind_{n}"), 0), WINDOW), Action::Write);
        }
        for _ in 0..=WRITTEN {
            assert_eq!(repeats.note(line("one_more", 0), WINDOW), Action::Write);
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
                let action = repeats.note(line(EVENTS[kind], 0), now);
                let is_quiet = last[kind].is_none_or(|last| now >= last + 2 * WINDOW);
                prop_assert!(!is_quiet || action == Action::Write);
                came[kind] += 1;
                written[kind] += u64::from(action == Action::Write);
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

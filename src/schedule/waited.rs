//! The longest wait of a line. Each host has a short history of its lines' wait reasons, and the run has one for all
//! lines. When a line starts, the history since it could have started is looked up.

use std::time::Duration;

use crate::item::WaitedFor;

/// The spans of a history.
const MOST: usize = 4;

/// The longest wait of a line so far, in four bytes: its milliseconds in the upper bits, its reason in the lower.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LongestWait(u32);

impl LongestWait {
    const REASON_BITS: u32 = 4;
    const LONGEST: u32 = u32::MAX >> Self::REASON_BITS;

    /// Notes a wait.
    pub fn note(&mut self, reason: WaitedFor, time: Duration) {
        let time = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(Self::LONGEST);
        if time > self.0 >> Self::REASON_BITS {
            self.0 = time << Self::REASON_BITS | reason as u32;
        }
    }

    /// The reason of the longest wait, if it took a millisecond.
    pub fn reason(self) -> Option<WaitedFor> {
        let number = self.0 & ((1 << Self::REASON_BITS) - 1);
        WaitedFor::ALL.get(number as usize).copied().filter(|_| self.0 > 0)
    }
}

/// A history of wait reasons.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitHistory {
    /// The spans that are over; the first began with the history.
    over: [Span; MOST],
    count: usize,
    began: u64,
    now: Option<WaitedFor>,
    since: u64,
}

/// A time in which one or several reasons held, one after the other.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Its end, in milliseconds; it began when the one before ended.
    end: u64,
    /// The milliseconds of each reason; the rest is time without one.
    times: [u32; WaitedFor::ALL.len()],
}

impl WaitHistory {
    pub fn new(now: Duration) -> Self {
        let began = millis(now);
        let none = Span { end: 0, times: [0; WaitedFor::ALL.len()] };
        Self { over: [none; MOST], count: 0, began, now: None, since: began }
    }

    /// Sets the wait reason from now on.
    pub fn note(&mut self, reason: Option<WaitedFor>, now: Duration) {
        if reason == self.now {
            return;
        }
        let (before, now) = (std::mem::replace(&mut self.now, reason), millis(now));
        if now > self.since {
            self.end(before, now);
            self.since = now;
        }
    }

    /// The reason with the longest wait since `since`, and that wait. A span that began earlier counts in part.
    pub fn longest(&self, since: Duration, now: Duration) -> Option<(WaitedFor, Duration)> {
        let (since, mut begin) = (millis(since), self.began);
        let running = |from: u64| millis(now).saturating_sub(from);
        if since >= self.since {
            return self.now.map(|reason| (reason, Duration::from_millis(running(since))));
        }
        let mut sums = [0; WaitedFor::ALL.len()];
        for Span { end, times } in &self.over[..self.count] {
            let (part, whole) = (end.saturating_sub(begin.max(since)), (end - begin).max(1));
            begin = *end;
            if part == 0 {
                continue;
            }
            // Most spans are within the time as a whole, or not at all.
            let is_whole = part == whole;
            for (sum, time) in sums.iter_mut().zip(times).filter(|(_, time)| **time > 0) {
                let time = u64::from(*time);
                *sum += if is_whole { time } else { time * part / whole };
            }
        }
        if let Some(reason) = self.now {
            sums[reason as usize] += running(self.since);
        }
        let (reason, time) = WaitedFor::ALL.into_iter().zip(sums).max_by_key(|(_, time)| *time)?;
        (time > 0).then(|| (reason, Duration::from_millis(time)))
    }

    fn end(&mut self, reason: Option<WaitedFor>, now: u64) {
        if self.count == MOST {
            self.join_shortest();
        }
        let mut span = Span { end: now, times: [0; WaitedFor::ALL.len()] };
        if let Some(reason) = reason {
            span.times[reason as usize] = u32::try_from(now - self.since).unwrap_or(u32::MAX);
        }
        self.over[self.count] = span;
        self.count += 1;
    }

    /// Merges the two neighbours that are shortest together, so that reasons that alternate quickly become one span,
    /// and a long span stays.
    fn join_shortest(&mut self) {
        let begin = |at: usize| if at == 0 { self.began } else { self.over[at - 1].end };
        let length = |at: &usize| self.over[at + 1].end - begin(*at);
        let at = (0..self.count - 1).min_by_key(length).unwrap_or_default();
        let first = self.over[at].times;
        for (time, before) in self.over[at + 1].times.iter_mut().zip(first) {
            *time = time.saturating_add(before);
        }
        self.over.copy_within(at + 1..self.count, at);
        self.count -= 1;
    }
}

/// Whole milliseconds.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn each_reason_has_the_number_of_its_place_and_fits() {
        for (number, reason) in WaitedFor::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            let mut longest = LongestWait::default();
            longest.note(reason, at(1));
            assert_eq!(longest.reason(), Some(reason));
        }
        let mut longest = LongestWait::default();
        longest.note(WaitedFor::Backoff, Duration::MAX);
        longest.note(WaitedFor::Output, Duration::MAX);
        assert_eq!(longest.reason(), Some(WaitedFor::Backoff));
    }

    #[test]
    fn a_history_adds_up_intervals_and_forgets_borders_between_short_ones_first() {
        let mut history = WaitHistory::new(at(0));
        for n in 0..100 {
            history.note(Some(WaitedFor::HostRate), at(10 * n));
            history.note(Some(WaitedFor::HostConcurrency), at(10 * n + 7));
        }
        let longest = history.longest(at(0), at(1000));
        assert!(longest.is_some_and(|(_, time)| (at(690)..at(710)).contains(&time)), "{longest:?}");
        assert_eq!(longest.map(|(reason, _)| reason), Some(WaitedFor::HostRate));
        assert_eq!(history.longest(at(990), at(1000)), Some((WaitedFor::HostRate, at(7))));
        assert_eq!(history.longest(at(998), at(1000)), Some((WaitedFor::HostConcurrency, at(2))));
        assert_eq!(WaitHistory::new(at(5)).longest(at(0), at(9)), None);
    }

    #[test]
    fn a_long_wait_at_first_does_not_hide_a_longer_one_that_is_often_interrupted() {
        let mut history = WaitHistory::new(at(0));
        history.note(Some(WaitedFor::Robots), at(0));
        for n in 6..240 {
            history.note(Some(WaitedFor::HostConcurrency), at(50 * n));
            history.note(Some(WaitedFor::HostRate), at(50 * n + 5));
        }
        let longest = history.longest(at(0), at(12_000));
        assert!(
            longest.is_some_and(|(reason, time)| reason == WaitedFor::HostRate && time > at(10_000)),
            "{longest:?}"
        );
        assert_eq!(history.longest(at(11_000), at(12_000)).map(|(reason, _)| reason), Some(WaitedFor::HostRate));
    }
}

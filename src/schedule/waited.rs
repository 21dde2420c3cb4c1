//! What a line waited for longest. Each host has a short history of what its lines waited for, and the run one of what kept
//! all of them; a line that starts looks up the time since it could have started.

use std::time::Duration;

use crate::item::WaitedFor;

/// Intervals that are remembered; the oldest two become one.
const MOST: usize = 6;

/// The longest wait of a line so far, in four bytes: its milliseconds, and below them its reason.
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

    /// The reason of the longest, if there was one of a millisecond.
    pub fn reason(self) -> Option<WaitedFor> {
        let number = self.0 & ((1 << Self::REASON_BITS) - 1);
        WaitedFor::ALL.get(number as usize).copied().filter(|_| self.0 > 0)
    }
}

/// What was waited for, interval after interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitHistory {
    /// The reasons, with the milliseconds at which they ended; the first began with the history.
    over: [(Option<WaitedFor>, u64); MOST],
    count: usize,
    began: u64,
    now: Option<WaitedFor>,
    since: u64,
}

impl WaitHistory {
    pub fn new(now: Duration) -> Self {
        let began = millis(now);
        Self { over: [(None, 0); MOST], count: 0, began, now: None, since: began }
    }

    /// Notes what is waited for from now on.
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

    /// What was waited for longest since then, and how long.
    pub fn longest(&self, since: Duration, now: Duration) -> Option<(WaitedFor, Duration)> {
        let (since, mut begin) = (millis(since), self.began);
        if since >= self.since {
            return self.now.map(|reason| (reason, Duration::from_millis(millis(now) - since)));
        }
        let mut times = [0; WaitedFor::ALL.len()];
        let running = [(self.now, millis(now))];
        for (reason, end) in self.over[..self.count].iter().chain(&running) {
            if let Some(reason) = reason {
                times[*reason as usize] += end.saturating_sub(begin.max(since));
            }
            begin = *end;
        }
        let (reason, time) = WaitedFor::ALL.into_iter().zip(times).max_by_key(|(_, time)| *time)?;
        (time > 0).then(|| (reason, Duration::from_millis(time)))
    }

    fn end(&mut self, reason: Option<WaitedFor>, now: u64) {
        if let Some((_, end)) = self.over[..self.count].last_mut().filter(|(last, _)| *last == reason) {
            *end = now;
            return;
        }
        if self.count == MOST {
            let ((first, until), (second, end)) = (self.over[0], self.over[1]);
            self.over[1].0 = if until - self.began > end - until { first } else { second };
            self.over.copy_within(1.., 0);
            self.count -= 1;
        }
        self.over[self.count] = (reason, now);
        self.count += 1;
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
    fn a_history_adds_up_intervals_and_forgets_the_oldest_borders_first() {
        let mut history = WaitHistory::new(at(0));
        for n in 0..100 {
            history.note(Some(WaitedFor::HostRate), at(10 * n));
            history.note(Some(WaitedFor::HostConcurrency), at(10 * n + 7));
        }
        let longest = history.longest(at(0), at(1000));
        assert!(longest.is_some_and(|(reason, time)| reason == WaitedFor::HostRate && time > at(900)), "{longest:?}");
        assert_eq!(history.longest(at(990), at(1000)), Some((WaitedFor::HostRate, at(7))));
        assert_eq!(history.longest(at(998), at(1000)), Some((WaitedFor::HostConcurrency, at(2))));
        assert_eq!(WaitHistory::new(at(5)).longest(at(0), at(9)), None);
    }
}

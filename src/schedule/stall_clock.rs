//! The stall clock measures the time that counts against deadlines. It stands still while no line may start for a
//! reason that is no server's fault. The run has one, and each host has its own, which also stops with that of the run.
//!
//! In: the begin and end of each reason. Out: the readings for deadlines and open circuits.

use std::time::Duration;

/// Why no line may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallReason {
    /// Records cannot be written.
    Output,
    /// The quota of a host is used up until it is reset, or the host is closed.
    Quota,
    /// The token of a host is refused, and there is no other yet.
    Token,
    /// An operator has paused the host or the run.
    Paused,
}

impl StallReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Output, Self::Quota, Self::Token, Self::Paused];
}

/// The readings of both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Since the start of the run.
    pub time: Duration,
    /// The same without stalls, for deadlines of lines and open circuits.
    pub lines: Duration,
}

/// The reasons that hold, and the total time of stalls so far.
#[derive(Debug, Default)]
pub(super) struct StallClock {
    /// By the number of the reason.
    holds: [bool; StallReason::ALL.len()],
    /// Since when at least one reason holds.
    since: Option<Duration>,
    /// The length of all stalls that are over.
    stalled: Duration,
}

impl StallClock {
    /// Stops the clock for this reason. Idempotent.
    pub fn stall(&mut self, reason: StallReason, now: Duration) {
        self.holds[reason as usize] = true;
        self.since.get_or_insert(now);
    }

    /// Ends this reason; the clock goes on when none is left.
    pub fn resume(&mut self, reason: StallReason, now: Duration) {
        self.holds[reason as usize] = false;
        if !self.holds.contains(&true)
            && let Some(since) = self.since.take()
        {
            self.stalled += now.saturating_sub(since);
        }
    }

    /// The reasons that hold.
    pub fn reasons(&self) -> impl Iterator<Item = StallReason> {
        StallReason::ALL.into_iter().filter(|reason| self.holds[*reason as usize])
    }

    /// Whether any reason holds.
    pub fn is_stalled(&self) -> bool {
        self.since.is_some()
    }

    /// Reads both clocks.
    pub fn read(&self, now: Duration) -> Now {
        Now { time: now, lines: self.lines(now) }
    }

    /// The time without stalls.
    pub fn lines(&self, now: Duration) -> Duration {
        if self.since.is_none() && self.stalled.is_zero() {
            // Most clocks never stop, and they are read several times for each line.
            return now;
        }
        self.since.unwrap_or(now).min(now).saturating_sub(self.stalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_clock_stands_still_from_the_first_reason_to_the_end_of_the_last() {
        let mut clock = StallClock::default();
        for (seconds, reason) in (10..).zip(StallReason::ALL) {
            clock.stall(reason, at(seconds));
        }
        clock.stall(StallReason::Output, at(20));
        assert_eq!((clock.read(at(5)).lines, clock.read(at(30)).lines), (at(5), at(10)));
        assert_eq!(clock.reasons().collect::<Vec<_>>(), StallReason::ALL);
        for reason in StallReason::ALL {
            assert!(clock.is_stalled());
            clock.resume(reason, at(30));
        }
        assert!(!clock.is_stalled() && clock.reasons().next().is_none());
        assert_eq!((clock.read(at(31)).time, clock.read(at(31)).lines), (at(31), at(11)));
    }
}

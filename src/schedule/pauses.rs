//! The cost of a host's pauses per line: a server that refuses each hundredth request does so again. From the second
//! pause on, pauses are expected to go on as before, once a few lines tell how many come between two.

use std::time::Duration;

/// The pauses of one host so far, those for its quota included.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    until: Duration,
    count: u32,
    /// Their total, without the first.
    seconds: f32,
    /// Lines that were done since the first.
    lines: u32,
}

impl Pauses {
    /// Notes a pause that has begun, or goes on.
    pub fn note(&mut self, until: Duration, now: Duration) {
        if until <= self.until {
            return;
        }
        self.count += u32::from(now >= self.until);
        if self.count > 1 {
            self.seconds += (until - self.until.max(now)).as_secs_f32();
        }
        self.until = until;
    }

    /// Notes a line that is done.
    pub fn note_line(&mut self) {
        self.lines = self.lines.saturating_add(1);
    }

    /// A pause that began in the previous run: how many lines came before it is unknown, so it does not count.
    pub fn inherited(until: Duration) -> Self {
        Self { until, ..Self::default() }
    }

    /// Whether their cost is known.
    pub fn are_known(&self) -> bool {
        const FEW: u32 = 4;
        self.count > 1 && self.lines >= FEW
    }

    /// Seconds of pauses for each line, if they are known; else 0.
    pub fn per_line(&self) -> f32 {
        if self.are_known() { self.seconds / self.lines as f32 } else { 0.0 }
    }

    /// Seconds of one of them, if they are known; else 0.
    pub fn one(&self) -> f32 {
        if self.are_known() { self.seconds / (self.count - 1) as f32 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_second_one_on_they_are_shared_among_the_lines_since_the_first() {
        let (mut pauses, at) = (Pauses::default(), Duration::from_secs);
        pauses.note(at(20), at(10));
        (0..10).for_each(|_| pauses.note_line());
        assert_eq!((pauses.are_known(), pauses.per_line()), (false, 0.0));
        pauses.note(at(25), at(12));
        assert!(!pauses.are_known(), "it is the same one");
        pauses.note(at(55), at(50));
        (0..10).for_each(|_| pauses.note_line());
        pauses.note(at(60), at(52));
        assert_eq!((pauses.are_known(), pauses.per_line()), (true, 0.5));
        assert_eq!(pauses.one(), 10.0);
    }

    #[test]
    fn one_of_the_previous_run_does_not_count_and_few_lines_tell_nothing() {
        let at = Duration::from_secs;
        let mut pauses = Pauses::inherited(at(5));
        pauses.note(at(5), at(0));
        pauses.note_line();
        pauses.note(at(11), at(6));
        assert!(!pauses.are_known());
        (0..3).for_each(|_| pauses.note_line());
        pauses.note(at(20), at(15));
        assert_eq!((pauses.are_known(), pauses.per_line()), (true, 1.25));
        let mut early = Pauses::default();
        early.note(at(5), at(0));
        early.note_line();
        early.note(at(15), at(10));
        assert_eq!((early.are_known(), early.per_line(), early.one()), (false, 0.0, 0.0));
    }
}

//! The cost of a host's pauses per line: a server that refuses each hundredth request does so again. From the second
//! pause on, pauses are expected to go on as before.

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

    /// Whether their cost is known.
    pub fn are_known(&self) -> bool {
        self.count > 1
    }

    /// Seconds of pauses for each line.
    pub fn per_line(&self) -> f32 {
        self.seconds / self.lines.max(1) as f32
    }

    /// Seconds of one of them, if they are known.
    pub fn one(&self) -> f32 {
        self.seconds / self.count.saturating_sub(1).max(1) as f32
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
}

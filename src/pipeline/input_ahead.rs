//! Estimates how much of the input is not accepted yet, and how long that takes at the pace of the last minute.
//!
//! The pace is measured while the window is full, so that each finished line admits another one. It is not measured
//! while the window fills at the start, nor while it is full of lines of hosts that are held.

use std::time::Duration;

use super::Status;
use crate::schedule::Ahead;

/// The time constant of the exponential decay of accepted lines.
const MEMORY: Duration = Duration::from_secs(60);

/// The least seconds of measurement for an estimate.
const SHORT: f64 = 0.5;

/// Whether the lines accepted since the last look count for the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// No: the window is being filled, or held up.
    Other,
    /// Yes.
    OfRun,
}

/// The part of the input that is not accepted yet.
#[derive(Debug)]
pub(super) struct InputAhead {
    /// The size of the input, if it has an end.
    bytes: Option<u64>,
    looked: Duration,
    accepted: u64,
    /// Lines accepted, and the time that this took; both decay.
    lines: f64,
    seconds: f64,
}

impl InputAhead {
    pub fn new(bytes: Option<u64>) -> Self {
        Self { bytes, looked: Duration::ZERO, accepted: 0, lines: 0.0, seconds: 0.0 }
    }

    /// Notes that the input has ended.
    pub fn end(&mut self) {
        self.bytes = Some(0);
    }

    /// The input not accepted yet; `None` if it has no end. `beside` accepted lines go on at the same pace.
    pub fn look(&mut self, status: &Status, pace: Pace, beside: usize, now: Duration) -> Option<Ahead> {
        let accepted = status.counters().accepted.get();
        self.note(accepted, pace, now);
        let read = status.metrics().accepted_bytes.get();
        let left = self.bytes?.saturating_sub(read) as f64;
        let lines = if accepted == 0 { 0.0 } else { left * accepted as f64 / read.max(1) as f64 };
        let known = self.seconds >= SHORT && self.lines > 0.0;
        let seconds = known.then(|| (lines + beside as f64) * self.seconds / self.lines);
        Some(Ahead { lines, seconds })
    }

    fn note(&mut self, accepted: u64, pace: Pace, now: Duration) {
        let (lines, time) = (accepted - self.accepted, now.saturating_sub(self.looked).as_secs_f64());
        (self.accepted, self.looked) = (accepted, now);
        if pace == Pace::OfRun {
            let faded = (-time / MEMORY.as_secs_f64()).exp();
            self.lines = self.lines * faded + lines as f64;
            self.seconds = self.seconds * faded + time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts `lines` lines of ten bytes, and looks.
    fn look(ahead: &mut InputAhead, status: &Status, lines: u64, pace: Pace, seconds: u64) -> Option<Ahead> {
        status.counters().accepted.add(lines);
        status.metrics().accepted_bytes.add(10 * lines);
        ahead.look(status, pace, 0, Duration::from_secs(seconds))
    }

    #[test]
    fn the_rest_takes_as_long_as_lines_took_of_late_while_the_window_was_full() {
        let (mut ahead, status) = (InputAhead::new(Some(10_000)), Status::default());
        assert_eq!(look(&mut ahead, &status, 0, Pace::Other, 1), Some(Ahead { lines: 0.0, seconds: None }));
        assert_eq!(look(&mut ahead, &status, 500, Pace::Other, 2), Some(Ahead { lines: 500.0, seconds: None }));
        look(&mut ahead, &status, 10, Pace::OfRun, 3);
        let rest = look(&mut ahead, &status, 10, Pace::OfRun, 4).expect("the input has an end");
        assert_eq!((rest.lines, rest.seconds.map(f64::round)), (480.0, Some(48.0)));
        look(&mut ahead, &status, 0, Pace::Other, 1000);
        let rest = look(&mut ahead, &status, 10, Pace::OfRun, 1001).expect("the input has an end");
        assert_eq!(rest.seconds.map(f64::round), Some(47.0), "what held it up is no pace");
        ahead.end();
        assert_eq!(look(&mut ahead, &status, 0, Pace::OfRun, 1002).map(|rest| rest.lines), Some(0.0));
    }

    #[test]
    fn an_input_without_an_end_has_no_rest() {
        let mut ahead = InputAhead::new(None);
        assert_eq!(look(&mut ahead, &Status::default(), 10, Pace::OfRun, 1), None);
    }
}

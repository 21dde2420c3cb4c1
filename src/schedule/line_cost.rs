//! The cost of a line: its requests and its time on the wire, on average over the last lines of a host, or of the run.
//!
//! In: each line that is done. Out: seconds from one line to the next.

use std::time::Duration;

/// The lines in the average of a host.
const LINES_OF_HOST: u16 = 16;

/// The lines in the average of the run, in which slow and fast hosts are mixed.
const LINES_OF_RUN: u16 = 256;

/// The average cost of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineCost {
    /// Seconds on the wire.
    wire: f32,
    requests: f32,
    /// Lines in the average, up to `most`.
    lines: u16,
    most: u16,
}

impl LineCost {
    /// The cost in a run without lines so far.
    pub fn of_run() -> Self {
        Self { wire: 0.0, requests: 1.0, lines: 0, most: LINES_OF_RUN }
    }

    /// The cost of a new host: that of the run, until its first line.
    pub fn of_next_host(&self) -> Self {
        Self { lines: 0, most: LINES_OF_HOST, ..*self }
    }

    /// Whether no line is done so far.
    pub fn is_unknown(&self) -> bool {
        self.lines == 0
    }

    /// Notes a line that is done: its time on the wire, and its requests.
    pub fn note(&mut self, wire: Duration, requests: u32) {
        self.lines = (self.lines + 1).min(self.most);
        let share = 1.0 / f32::from(self.lines);
        self.wire += share * (wire.as_secs_f32() - self.wire);
        self.requests += share * (requests.max(1) as f32 - self.requests);
    }

    /// Seconds on the wire of one line.
    pub fn wire(&self) -> f32 {
        self.wire
    }

    /// Seconds on the wire of one request; `None` before the first line.
    pub fn request(&self) -> Option<f32> {
        (!self.is_unknown()).then(|| self.wire / self.requests.max(1.0))
    }

    /// Seconds from one line to the next, if requests start `every` apart.
    pub fn paced(&self, every: Duration) -> f32 {
        if every.is_zero() { 0.0 } else { self.requests * every.as_secs_f32() }
    }

    /// The same if also `at_once` requests at most are on the wire.
    pub fn seconds(&self, at_once: u32, every: Duration) -> f32 {
        (self.wire / at_once.max(1) as f32).max(self.paced(every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_line_costs_what_all_its_requests_take_and_the_larger_of_interval_and_wire_counts() {
        let mut run = LineCost::of_run();
        assert_eq!(run.seconds(8, Duration::ZERO), 0.0, "nothing is known yet");
        run.note(ms(800), 1);
        let mut host = run.of_next_host();
        assert_eq!((host.seconds(8, Duration::ZERO), host.seconds(8, ms(500))), (0.1, 0.5));
        (0..100).for_each(|_| host.note(ms(400), 2));
        assert!((host.seconds(4, Duration::ZERO) - 0.1).abs() < 1e-3, "{host:?}");
        assert!((host.seconds(4, ms(500)) - 1.0).abs() < 1e-3, "two requests a line: {host:?}");
    }

    #[test]
    fn the_average_follows_a_host_that_gets_slower() {
        let mut host = LineCost::of_run().of_next_host();
        (0..100).for_each(|_| host.note(ms(10), 1));
        (0..50).for_each(|_| host.note(ms(1000), 1));
        assert!(host.seconds(1, Duration::ZERO) > 0.9, "{host:?}");
    }
}

//! Estimates from the cost of lines so far: the pace of a host's lines under its limits, and the work of all waiting
//! lines. The end of the run is in `eta.rs`.

use std::sync::Arc;
use std::time::Duration;

/// An estimated time, such as that until the run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eta {
    /// About this time.
    About(Duration),
    /// This time or longer: the cost of the rest of the input is unknown.
    AtLeast(Duration),
}

impl Eta {
    /// The time of either variant.
    pub fn left(self) -> Duration {
        let (Self::About(left) | Self::AtLeast(left)) = self;
        left
    }

    /// The estimate after `time` has passed.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        match self {
            Self::About(left) => Self::About(left.saturating_sub(time)),
            Self::AtLeast(left) => Self::AtLeast(left.saturating_sub(time)),
        }
    }
}

/// The pace of a host's lines under its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPace {
    /// The mean time of its last requests on the wire; `None` before its first line is done.
    pub request: Option<Duration>,
    /// From one start to the next, by its rate or a Crawl-delay; zero for no limit.
    pub every: Duration,
    /// Requests on the wire at once.
    pub at_once: u32,
    /// Its lines that wait or are on the wire.
    pub lines: usize,
    /// How long these take; `None` while unknown.
    pub takes: Option<Duration>,
}

impl HostPace {
    /// Whether its rate keeps its lines longer than its concurrency does; `None` before its first line is done.
    pub fn is_slowed_by_rate(&self) -> Option<bool> {
        Some(self.every * self.at_once.max(1) >= self.request?)
    }

    /// Requests a second, if known: as many as may be on the wire at once, but no more than its rate allows.
    pub fn per_second(&self) -> Option<f64> {
        let by_wire = self.request.map(|request| f64::from(self.at_once) / request.as_secs_f64().max(1e-6));
        let by_rate = (!self.every.is_zero()).then(|| 1.0 / self.every.as_secs_f64());
        [by_wire, by_rate].into_iter().flatten().min_by(f64::total_cmp)
    }
}

/// The work of all lines that wait or are on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingWork {
    /// Its time, without lines that an operator holds; a lower bound while the wait of the host has no known end.
    pub takes: Eta,
    /// The lines that take this time: those of the host, or all.
    pub lines: usize,
    /// The host that takes longest; `None` if all lines take longer under a limit of the run.
    pub host: Option<Arc<str>>,
    /// How many of these are done in a second; `None` while they are held until a time.
    pub per_second: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_as_fast_as_the_slower_of_its_rate_and_its_requests() {
        let pace = |request: Option<u64>, every: u64| HostPace {
            request: request.map(Duration::from_millis),
            every: Duration::from_millis(every),
            at_once: 4,
            lines: 420,
            takes: None,
        };
        assert_eq!(pace(Some(2000), 0).per_second(), Some(2.0));
        assert_eq!(pace(Some(2000), 1000).per_second(), Some(1.0));
        assert_eq!(pace(Some(2000), 100).per_second(), Some(2.0));
        assert_eq!((pace(None, 100).per_second(), pace(None, 0).per_second()), (Some(10.0), None));
        let slowed =
            [pace(Some(2000), 1000), pace(Some(2000), 100), pace(None, 100)].map(|pace| pace.is_slowed_by_rate());
        assert_eq!(slowed, [Some(true), Some(false), None]);
    }
}

//! The rate limiter of a host, and of the run: even spacing of starts by a generic cell rate algorithm without burst (GCRA,
//! ITU-T I.371), which is a token bucket with room for one token.

use std::time::Duration;

/// Timers tick in milliseconds: a start that is late by no more than this does not push the next one, so that high
/// rates are reached. Any window `w` therefore sees at most `rate × (w + SLACK) + 1` starts.
pub const SLACK: Duration = Duration::from_millis(2);

/// When the next start may be.
#[derive(Clone, Copy, Debug)]
pub struct RateLimiter {
    every: Duration,
    /// `None` before the first start.
    due: Option<Duration>,
}

impl RateLimiter {
    /// One start every `every`; zero means no limit.
    pub fn new(every: Duration) -> Self {
        Self { every, due: None }
    }

    /// The same after starts of a run before: the last of them was `ago` before `now`, or earlier.
    pub fn resume(every: Duration, ago: Duration, now: Duration) -> Self {
        Self { every, due: Some(now + every.saturating_sub(ago)) }
    }

    /// The earliest time of the next start.
    pub fn next(&self) -> Duration {
        self.due.unwrap_or_default()
    }

    /// From one start to the next.
    pub fn interval(&self) -> Duration {
        self.every
    }

    /// From when on a new rate limiter would allow no more than this one: not before its slack is used up.
    pub fn full_at(&self) -> Duration {
        if self.every.is_zero() { self.next() } else { self.due.map_or(Duration::ZERO, |due| due + SLACK) }
    }

    /// From the last start on there is at least so much time from one start to the next.
    pub fn slow_to(&mut self, every: Duration) {
        let more = every.saturating_sub(self.every);
        self.every += more;
        self.due = self.due.map(|due| due + more);
    }

    /// Whether there is more time than this from one start to the next.
    pub fn is_slower_than(&self, every: Duration) -> bool {
        self.every > every
    }

    /// Notes a start, after which there is at least so much time from one start to the next.
    pub fn start(&mut self, at_least: Duration, now: Duration) {
        self.every = self.every.max(at_least);
        self.due = Some(self.next().max(now.saturating_sub(SLACK)) + self.every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_window_sees_at_most_its_share(
            every in 1u64..400, waits in prop::collection::vec(0u64..700, 2..60)
        ) {
            let every = Duration::from_millis(every);
            let (mut rate_limiter, mut now, mut starts) = (RateLimiter::new(every), Duration::ZERO, Vec::new());
            for wait in waits {
                now = (now + Duration::from_millis(wait)).max(rate_limiter.next());
                rate_limiter.start(Duration::ZERO, now);
                starts.push(now);
            }
            for (i, from) in starts.iter().enumerate() {
                for (n, to) in starts[i..].iter().enumerate() {
                    // n + 1 starts in the window from `from` to `to`.
                    prop_assert!(every * n as u32 <= (*to - *from) + SLACK);
                }
            }
        }
    }

    #[test]
    fn a_longer_interval_counts_from_the_last_start_of_this_run_or_of_the_one_before() {
        let ms = Duration::from_millis;
        let mut first = RateLimiter::new(ms(100));
        first.slow_to(ms(500));
        assert_eq!(first.next(), ms(0), "nothing started yet");
        first.start(ms(0), ms(1000));
        first.slow_to(ms(2000));
        assert_eq!(first.next(), ms(3000) - SLACK);
        for (ago, next) in [(0, 507), (300, 207), (9000, 7)] {
            assert_eq!(RateLimiter::resume(ms(500), ms(ago), ms(7)).next(), ms(next));
        }
    }
}

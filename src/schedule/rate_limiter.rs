//! The rate limiter of a host, and of the run: even spacing of starts by a generic cell rate algorithm without burst (GCRA,
//! ITU-T I.371), which is a token bucket with room for one token.

use std::time::Duration;

/// Timers tick in milliseconds: a start that is late by no more than this does not delay the next one, so that high
/// rates are reached. Any window `w` therefore sees at most `rate × (w + SLACK) + 1` starts.
pub const SLACK: Duration = Duration::from_millis(2);

/// The rate limiter of a host, or of the run.
#[derive(Clone, Copy, Debug)]
pub struct RateLimiter {
    /// The interval of its limit.
    own: Duration,
    /// The Crawl-delay.
    crawl_delay: Duration,
    /// The longer of the two.
    every: Duration,
    /// `None` before the first start.
    due: Option<Duration>,
    /// Since when starts are noted: any start before was at least an interval earlier.
    entered: Option<Duration>,
}

impl RateLimiter {
    /// One start every `every`; zero means no limit.
    pub fn new(every: Duration) -> Self {
        Self { own: every, crawl_delay: Duration::ZERO, every, due: None, entered: None }
    }

    /// The same with a Crawl-delay.
    pub fn with_crawl_delay(own: Duration, crawl_delay: Duration) -> Self {
        Self { own, crawl_delay, ..Self::new(own.max(crawl_delay)) }
    }

    /// The same after a restart: the last start was `ago` before `now`, or earlier.
    pub fn resume(self, ago: Duration, now: Duration) -> Self {
        Self { due: Some(now + self.every.saturating_sub(ago)), ..self }
    }

    /// The earliest time of the next start.
    pub fn next(&self) -> Duration {
        self.due.unwrap_or_default()
    }

    /// The time from one start to the next.
    pub fn interval(&self) -> Duration {
        self.every
    }

    /// The same without the Crawl-delay.
    pub fn own_interval(&self) -> Duration {
        self.own
    }

    /// From when on a new rate limiter would allow no more than this one: not before its slack is used up.
    pub fn full_at(&self) -> Duration {
        if self.every.is_zero() { self.next() } else { self.due.map_or(Duration::ZERO, |due| due + SLACK) }
    }

    /// Raises the Crawl-delay to at least this, from the last start on.
    pub fn slow_to(&mut self, every: Duration) {
        self.change(|limiter| limiter.crawl_delay = limiter.crawl_delay.max(every));
    }

    /// Caps the Crawl-delay, from the last start on.
    pub fn cap_crawl_delay(&mut self, most: Duration) {
        self.change(|limiter| limiter.crawl_delay = limiter.crawl_delay.min(most));
    }

    /// Sets the interval of the limit, from the last start on.
    pub fn set_interval(&mut self, every: Duration) {
        if self.due.is_none() && every > self.every {
            self.due = self.entered;
        }
        self.change(|limiter| limiter.own = every);
    }

    /// Notes a start at `at`, unless a later one is noted.
    pub fn note_earlier(&mut self, at: Duration) {
        self.due = Some(self.next().max(at + self.every));
    }

    /// Starts are noted from now on.
    pub fn enter(&mut self, now: Duration) {
        self.entered = Some(now);
    }

    /// Whether the Crawl-delay is longer than the interval of the limit.
    pub fn obeys_crawl_delay(&self) -> bool {
        self.crawl_delay > self.own
    }

    /// Changes the interval, from the last start on.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let old = self.every;
        change(self);
        self.every = self.own.max(self.crawl_delay);
        self.due = self.due.map(|due| (due + self.every).saturating_sub(old));
    }

    /// Notes a start; from it on, `at_least` is the shortest Crawl-delay.
    pub fn start(&mut self, at_least: Duration, now: Duration) {
        if at_least > self.crawl_delay {
            self.crawl_delay = at_least;
            self.every = self.own.max(at_least);
        }
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
        first.cap_crawl_delay(ms(1500));
        assert_eq!((first.next(), first.obeys_crawl_delay()), (ms(2500) - SLACK, true));
        first.set_interval(ms(3000));
        assert_eq!((first.next(), first.obeys_crawl_delay()), (ms(4000) - SLACK, false));
        first.set_interval(ms(0));
        assert_eq!(first.next(), ms(2500) - SLACK);
        let mut unasked = RateLimiter::new(ms(100));
        unasked.enter(ms(1000));
        unasked.set_interval(ms(500));
        assert_eq!(unasked.next(), ms(1400), "the last start may have been 100 ms before it was known");
        for (ago, next) in [(0, 507), (300, 207), (9000, 7)] {
            assert_eq!(RateLimiter::new(ms(500)).resume(ms(ago), ms(7)).next(), ms(next));
        }
    }
}

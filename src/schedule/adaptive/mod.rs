//! Adaptive concurrency: the number of concurrent requests to a host, or of the run, adjusted to the observed latency.
//! It grows while latency is stable, shrinks when latency grows, and is cut at once on overload (429, 503, timeouts).
//!
//! In: starts, times to first byte, overload. Out: the limit. The estimate of the queue at the host is that of TCP Vegas
//! (Brakmo and Peterson, 1995): of `n` concurrent requests, `n × (1 − best / now)` are queued. The variance of the samples
//! is allowed for.

mod feedback;
mod sample_window;

use std::time::Duration;

use sample_window::{SampleWindow, cuts_were_in_vain};

/// The minimum number of samples for a decision.
const SAMPLES: usize = 16;

/// Rounds without growth after a cut.
const HOLD: u32 = 12;

/// The share of a new sample in the smoothed value.
const LEARN: f64 = 0.1;

/// How long a limit is kept for a host without requests.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// The factor by which overload cuts the limit.
const CUT: f64 = 0.8;

/// The limit of one host, or of the whole run.
#[derive(Debug)]
pub(in crate::schedule) struct AdaptiveLimit {
    most: u32,
    limit: u32,
    /// The best window so far: the latency under low load.
    best: Option<SampleWindow>,
    /// When the limit last changed: only requests that were sent since then are samples of it.
    since: Duration,
    /// Whether the limit was reached since then: otherwise a higher one would change nothing.
    reached: bool,
    samples: Vec<f64>,
    /// The total time of the requests of these samples.
    took: Duration,
    last_answer: Duration,
    growth: Growth,
    /// The window before the recent cuts, until it is known whether they helped.
    before: Option<SampleWindow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// Doubling: no window had a queue so far.
    Fast,
    /// By one.
    Slow,
    /// None in this many rounds.
    Held(u32),
}

impl AdaptiveLimit {
    /// A limit that starts at one request, and is never above `most`.
    pub fn new(most: u32) -> Self {
        Self {
            most,
            limit: 1,
            best: None,
            since: Duration::ZERO,
            reached: false,
            samples: Vec::new(),
            took: Duration::ZERO,
            last_answer: Duration::ZERO,
            growth: Growth::Fast,
            before: None,
        }
    }

    /// Requests at once.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Sets the maximum.
    pub fn set_most(&mut self, most: u32) {
        self.most = most;
        if self.limit > most {
            // Requests under way started under the old limit, and are no samples of the new one.
            self.set(most, self.last_answer);
        }
    }

    /// Notes how many requests are under way.
    pub fn note_in_flight(&mut self, in_flight: u32) {
        self.reached |= in_flight >= self.limit;
    }

    /// Until when the limit is kept without requests: a new one would start at one.
    pub fn kept_until(&self) -> Duration {
        if self.limit == 1 { Duration::ZERO } else { self.last_answer + FRESH_FOR }
    }

    /// Notes a response to a request that was sent at `sent`. `measured` is the time to first byte, or a value that
    /// grows with it.
    pub fn answered(&mut self, sent: Duration, measured: Duration, now: Duration) {
        self.last_answer = now;
        if sent < self.since {
            return;
        }
        self.took += now.saturating_sub(sent);
        self.samples.push(measured.as_secs_f64());
        if self.samples.len() >= SAMPLES.max(2 * self.limit as usize) {
            let window = SampleWindow::of(self.limit.into(), &mut self.samples);
            self.decide(window, now);
        }
    }

    /// Notes an overload: a request that was sent at `sent` was refused or timed out.
    pub fn overloaded(&mut self, sent: Duration, now: Duration) {
        if sent >= self.since {
            self.growth = Growth::Held(HOLD);
            self.set((f64::from(self.limit) * CUT) as u32, now);
        }
    }

    fn decide(&mut self, window: SampleWindow, now: Duration) {
        // With one request at a time there is no queue.
        let best = self.best.filter(|best| best.mean < window.mean && self.limit > 1).unwrap_or(window);
        self.best = Some(best);
        if self.before.is_some_and(|before| cuts_were_in_vain(before, window)) {
            // Fewer requests at once are no faster, so the host itself has become slower.
            self.best = Some(window);
            let before = self.before.take().map_or(self.limit, |before| before.limit as u32);
            return self.set(before, now);
        }
        let served = window.limit * best.mean / window.mean;
        let queue = window.limit - served;
        let doubt = window.doubt.min(best.doubt);
        if queue > 0.5 + (0.06 + 2.0 * doubt) * window.limit {
            self.before.get_or_insert(window);
            self.growth = Growth::Held(HOLD);
            // Requests that are queued there now still delay others.
            let they_take = self.took.div_f64(self.samples.len().max(1) as f64);
            self.set(served.max(window.limit / 2.0).round() as u32, now + they_take);
        } else {
            self.grow(queue, window.mean, now);
        }
    }

    fn grow(&mut self, queue: f64, mean: f64, now: Duration) {
        self.before = None;
        let has_room = queue < 0.5 + 0.05 * f64::from(self.limit);
        self.growth = match self.growth {
            Growth::Fast if has_room => Growth::Fast,
            Growth::Fast | Growth::Slow | Growth::Held(0) => Growth::Slow,
            Growth::Held(rounds) => {
                // After a cut there should be no queue, and the best of many windows is partly luck.
                self.best = self.best.map(|best| SampleWindow { mean: best.mean + LEARN * (mean - best.mean), ..best });
                Growth::Held(rounds - 1)
            }
        };
        let next = match self.growth {
            Growth::Fast => self.limit * 2,
            Growth::Slow if has_room => self.limit + 1,
            Growth::Slow | Growth::Held(_) => self.limit,
        };
        self.set(if self.reached { next } else { self.limit }, now);
    }

    /// Begins a new window of requests that are sent from `since` on.
    fn set(&mut self, limit: u32, since: Duration) {
        let limit = limit.clamp(1, self.most);
        if limit != self.limit {
            (self.since, self.reached) = (since, false);
        }
        self.limit = limit;
        self.took = Duration::ZERO;
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    /// A host that serves `at_once` requests at once, each in `ms` milliseconds, and queues others.
    struct Server {
        at_once: usize,
        ms: f64,
        jitter: f64,
    }

    /// Requests on the wire by the time of their end, and the time they were sent, in nanoseconds.
    struct Scene {
        limit: AdaptiveLimit,
        wire: BinaryHeap<Reverse<(u128, u128)>>,
        free: Vec<u128>,
        now: u128,
        chance: fastrand::Rng,
    }

    impl Scene {
        fn new(most: u32) -> Self {
            let (wire, free) = (BinaryHeap::new(), Vec::new());
            Self { limit: AdaptiveLimit::new(most), wire, free, now: 1, chance: fastrand::Rng::with_seed(7) }
        }

        /// Keeps the host as busy as the limit allows for `seconds`; returns the average limit.
        fn play(&mut self, server: &Server, seconds: f64) -> f64 {
            let (from, until) = (self.now, self.now + (seconds * 1e9) as u128);
            let mut area = 0.0;
            self.free.resize(server.at_once, 0);
            while self.now < until {
                while self.wire.len() < self.limit.limit() as usize {
                    self.start(server);
                }
                let Some(Reverse((end, sent))) = self.wire.pop() else { return 0.0 };
                area += f64::from(self.limit.limit()) * (end - self.now) as f64;
                self.now = end;
                self.limit.answered(time(sent), time(end - sent), time(end));
            }
            area / (self.now - from) as f64
        }

        fn start(&mut self, server: &Server) {
            let jitter = 1.0 + server.jitter * (2.0 * self.chance.f64() - 1.0);
            self.free.sort_unstable();
            let begin = self.free[0].max(self.now);
            let end = begin + (server.ms * jitter * 1e6) as u128;
            self.free[0] = end;
            self.wire.push(Reverse((end, self.now)));
            self.limit.note_in_flight(self.wire.len() as u32);
        }
    }

    fn time(nanos: u128) -> Duration {
        Duration::from_nanos(nanos as u64)
    }

    /// The value at which the limit settles.
    fn settle(scene: &mut Scene, server: &Server) -> f64 {
        scene.play(server, server.ms * 1.5);
        scene.play(server, server.ms * 2.0)
    }

    fn assert_near(knee: usize, settled: f64, what: &str) {
        let off = settled / knee as f64 - 1.0;
        assert!(off.abs() <= 0.25, "{what}: a knee at {knee}, settled at {settled:.2}");
    }

    #[test]
    fn the_limit_settles_at_the_knee() {
        for jitter in [0.0, 0.1, 0.5] {
            for at_once in [1, 2, 4, 8, 16, 32, 48] {
                let server = Server { at_once, ms: 100.0, jitter };
                assert_near(at_once, settle(&mut Scene::new(64), &server), &format!("jitter {jitter}"));
            }
        }
    }

    #[test]
    fn a_host_that_gets_slower_or_narrower_and_recovers_is_followed() {
        let mut scene = Scene::new(64);
        for (at_once, ms) in [(16, 100.0), (16, 400.0), (16, 100.0), (4, 100.0), (24, 50.0)] {
            let server = Server { at_once, ms, jitter: 0.1 };
            assert_near(at_once, settle(&mut scene, &server), &format!("{ms} ms"));
        }
    }

    #[test]
    fn the_limit_is_never_above_the_most_and_grows_only_when_it_is_reached() {
        let server = Server { at_once: 100, ms: 10.0, jitter: 0.1 };
        assert!(settle(&mut Scene::new(8), &server) <= 8.0);
        let mut limit = AdaptiveLimit::new(64);
        for n in 1..1000 {
            limit.answered(time(n), time(10), time(n + 10));
        }
        assert_eq!(limit.limit(), 1, "the limit was never reached");
    }

    #[test]
    fn after_a_cut_samples_are_ignored_for_as_long_as_requests_take_whatever_is_measured() {
        let server = Server { at_once: 100, ms: 10.0, jitter: 0.1 };
        let mut scene = Scene::new(40);
        settle(&mut scene, &server);
        let (sent, second) = (time(scene.now), Duration::from_secs(1));
        while scene.limit.limit() == 40 {
            scene.limit.answered(sent, 100 * second, sent + second);
        }
        // The window had begun with faster requests.
        let away = scene.limit.since - (sent + second);
        assert!((second / 2..=second).contains(&away), "{away:?}");
    }

    #[test]
    fn refusals_cut_the_limit_once_for_all_that_were_sent_together() {
        let server = Server { at_once: 100, ms: 10.0, jitter: 0.1 };
        let mut scene = Scene::new(40);
        settle(&mut scene, &server);
        let (sent, now) = (time(scene.now), time(scene.now + 1000));
        for _ in 0..40 {
            scene.limit.overloaded(sent, now);
        }
        assert_eq!(scene.limit.limit(), 32);
        scene.limit.overloaded(now, now);
        assert_eq!(scene.limit.limit(), 25);
    }
}

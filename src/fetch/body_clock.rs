//! Fails a body that is too slow or outlasts its line's deadline, and the slowest of the long bodies when lines wait.
//! In: byte counts. Out: the failure, if any. Next: `body`.
//!
//! The clock counts ticks, and a late tick counts once: the server is not charged for time in which fetchd did not read
//! because it was stopped or had no CPU.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::long_bodies::{LongBodies, LongBody};
use crate::item::{ErrorKind, ResponseLimits};
use crate::units::{Span, Speed};

/// Ticks over which a speed is measured.
const TICKS: usize = 30;

/// The settings and counts that all bodies of a run share.
#[derive(Clone, Debug)]
pub(super) struct BodyPace {
    /// `fetch.speed_time`
    speed_time: Duration,
    /// The bodies that take longer than `fetch.timeout`.
    long_bodies: Arc<LongBodies>,
}

impl BodyPace {
    /// Measures speeds over this time.
    pub fn new(speed_time: Duration) -> Self {
        Self { speed_time, long_bodies: Arc::default() }
    }

    /// Sets the limit of concurrent requests while a line waits for it; `None` if none waits.
    pub fn limit_reached(&self, limit: Option<usize>) {
        self.long_bodies.limit_reached(limit);
    }

    /// Starts the clock of a body whose head arrived after this time.
    pub fn start(&self, limits: &ResponseLimits, ttfb: Duration) -> BodyClock {
        BodyClock {
            limits: *limits,
            speed_time: self.speed_time,
            elapsed: ttfb,
            bytes: 0,
            bytes_at: VecDeque::new(),
            sleep: None,
            long_bodies: Arc::clone(&self.long_bodies),
            long: None,
        }
    }
}

/// Fails one body that is too slow, as the module describes.
#[derive(Debug)]
pub(super) struct BodyClock {
    limits: ResponseLimits,
    speed_time: Duration,
    /// The time since the attempt began.
    elapsed: Duration,
    /// Bytes received, before decoding.
    bytes: u64,
    /// The value of `bytes` at the start and at each of the last ticks; empty before the first tick.
    bytes_at: VecDeque<u64>,
    /// The length and the timer of the next tick. Most bodies end before the first tick and need no timer.
    sleep: Option<(Duration, Pin<Box<Sleep>>)>,
    long_bodies: Arc<LongBodies>,
    /// The body's entry among the long bodies, once it is long.
    long: Option<LongBody>,
}

/// The message when the clock fails the slowest long body.
const SLOWEST: &str = "a line waited for a request of limits.concurrency to end, more than half of them were bodies that took \
                       longer than fetch.timeout, and this one was the slowest";

/// Why a body fails: the kind, and the record's message.
type TooSlow = (ErrorKind, String);

impl BodyClock {
    /// Counts received bytes.
    pub fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Ready once the body fails. To be polled while no bytes are available.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        loop {
            if self.long.as_ref().is_some_and(|long| long.is_lost(cx)) {
                return Poll::Ready((ErrorKind::Timeout, SLOWEST.to_owned()));
            }
            let step = self.next_step();
            let (step, sleeping) = self.sleep.get_or_insert_with(|| (step, Box::pin(sleep(step))));
            ready!(sleeping.as_mut().poll(cx));
            self.elapsed += *step;
            self.sleep = None;
            if let Some(too_slow) = self.tick() {
                return Poll::Ready(too_slow);
            }
        }
    }

    /// The time until the next tick, or until the deadline if that is earlier.
    fn next_step(&self) -> Duration {
        let tick = (self.speed_time / TICKS as u32).max(Duration::from_millis(1));
        tick.min(self.limits.time_left.saturating_sub(self.elapsed)).max(Duration::from_nanos(1))
    }

    fn tick(&mut self) -> Option<TooSlow> {
        if self.elapsed >= self.limits.time_left {
            let message = "the line's deadline passed before the whole body was there (fetch.deadline)".to_owned();
            return Some((ErrorKind::Deadline, message));
        }
        if self.bytes_at.is_empty() {
            self.bytes_at.push_back(0);
        }
        self.bytes_at.push_back(self.bytes);
        let least = u128::from(self.limits.min_speed) * self.speed_time.as_millis() / 1000;
        if self.bytes_at.len() > TICKS
            && let Some(before) = self.bytes_at.pop_front()
            && u128::from(self.bytes - before) < least
        {
            let (speed, time) = (Speed(self.limits.min_speed), Span(self.speed_time));
            let key = self.limits.set_by.min_speed.key("min_speed");
            let message = format!("the body came more slowly than {speed} over {time} ({key})");
            return Some((ErrorKind::Timeout, message));
        }
        self.tick_long();
        None
    }

    /// Counts a body that takes longer than `fetch.timeout` among the long bodies.
    fn tick_long(&mut self) {
        if self.elapsed < self.limits.timeout {
            return;
        }
        let speed = u64::try_from(u128::from(self.bytes) * 1000 / self.elapsed.as_millis().max(1)).unwrap_or(u64::MAX);
        self.long.get_or_insert_with(|| self.long_bodies.enter(speed)).note(speed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    use crate::item::SetBy;

    use tokio::time::Instant;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn pace() -> BodyPace {
        BodyPace::new(Duration::from_secs(30))
    }

    fn limits(min_speed: u32) -> ResponseLimits {
        ResponseLimits {
            timeout: TIMEOUT,
            time_left: Duration::from_secs(600),
            min_speed,
            max_body: 1 << 30,
            set_by: SetBy::default(),
        }
    }

    /// Feeds so many bytes each second until the clock fails the body; returns the second, the kind and the message.
    async fn ends(mut clock: BodyClock, bytes: impl Fn(u64) -> usize) -> (u64, ErrorKind, String) {
        let start = Instant::now();
        for second in 0.. {
            let next = sleep(Duration::from_secs(1));
            tokio::select! {
                biased;
                () = next => clock.count(bytes(second)),
                (kind, why) = poll_fn(|cx| clock.poll(cx)) => return (start.elapsed().as_secs(), kind, why),
            }
        }
        unreachable!("the loop has no end")
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_ends_once_it_is_too_slow_over_the_whole_time() {
        let (at, kind, why) = ends(pace().start(&limits(1024), Duration::ZERO), |_| 1000).await;
        assert_eq!((at, kind), (30, ErrorKind::Timeout), "{why}");
        assert!(why.contains("1KiB/s over 30s (fetch.min_speed)"), "{why}");
        let stalls = |second| if second < 100 { 1 << 20 } else { 0 };
        assert_eq!(ends(pace().start(&limits(1024), Duration::ZERO), stalls).await.0, 130);
        let burst = |second| if second == 0 { 40 << 10 } else { 0 };
        assert_eq!(
            ends(pace().start(&limits(1024), Duration::ZERO), burst).await.0,
            31,
            "the burst counts while it is in the window"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_fast_enough_ends_at_the_deadline_alone() {
        let (at, kind, _) = ends(pace().start(&limits(1024), Duration::from_secs(5)), |_| 1025).await;
        assert_eq!((at, kind), (595, ErrorKind::Deadline), "the head took five seconds of it");
        let (at, kind, _) = ends(pace().start(&limits(0), Duration::ZERO), |_| 0).await;
        assert_eq!((at, kind), (600, ErrorKind::Deadline), "no speed is asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_long_ones_the_slowest_ends_when_a_line_begins_to_wait() {
        let pace = pace();
        let start = |speed: usize| ends(pace.start(&limits(1), Duration::ZERO), move |_| speed);
        let line = async {
            sleep(Duration::from_millis(99_500)).await;
            pace.limit_reached(Some(4));
        };
        let (a, b, c, ()) = tokio::join!(start(3000), start(1000), start(2000), line);
        assert_eq!((a.1, b.1, c.1), (ErrorKind::Deadline, ErrorKind::Timeout, ErrorKind::Deadline));
        assert!(b.0 == 100 && b.2 == SLOWEST, "{b:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_long_yet_is_not_the_slowest() {
        let pace = pace();
        pace.limit_reached(Some(2));
        let start = |ttfb: u64, speed: usize| ends(pace.start(&limits(1), Duration::from_secs(ttfb)), move |_| speed);
        let (long, (at, kind, _)) = tokio::join!(start(5, 3000), start(0, 1000));
        assert_eq!((long.1, kind), (ErrorKind::Deadline, ErrorKind::Timeout));
        assert_eq!(at, 10, "it has the whole of fetch.timeout");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_loses_its_place_does_not_wait_for_its_next_tick() {
        const TICK: u64 = 100;
        let pace = BodyPace::new(Duration::from_secs(TICK * TICKS as u64));
        pace.limit_reached(Some(2));
        let start = Instant::now();
        let mut slow = pace.start(&limits(0), TIMEOUT);
        let newcomer = async {
            sleep(Duration::from_secs(TICK / 2)).await;
            let mut clock = pace.start(&limits(0), TIMEOUT);
            clock.count(9000);
            poll_fn(|cx| clock.poll(cx)).await
        };
        tokio::select! {
            biased;
            (kind, _) = poll_fn(|cx| slow.poll(cx)) => assert_eq!(kind, ErrorKind::Timeout),
            _ = newcomer => panic!("it is the faster one"),
        }
        assert_eq!(start.elapsed().as_secs(), TICK + TICK / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_read_counts_once() {
        let mut clock = pace().start(&limits(1024), Duration::ZERO);
        for _ in 0..29 {
            assert!(poll_fn(|cx| Poll::Ready(clock.poll(cx))).await.is_pending());
            tokio::time::advance(Duration::from_secs(3600)).await;
        }
        assert!(poll_fn(|cx| Poll::Ready(clock.poll(cx))).await.is_pending());
    }
}

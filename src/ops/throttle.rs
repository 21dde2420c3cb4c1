//! Bounds the CPU time of the API, so that its clients cannot slow down the run.
//!
//! A listener and its connections are one future, whose CPU time is measured. Once it has used up its share of a core,
//! it is not polled for a while. Clients wait meanwhile; timeouts of heads and writes go on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, Sleep, sleep_until};

/// The share of a core for one listener.
const SHARE: f64 = 0.04;

/// CPU time of a burst after a pause: enough for some hundred requests.
const BURST: Duration = Duration::from_millis(50);

/// CPU time that is granted after the share was used up; with less, waking up would cost most of it.
const PIECE: Duration = Duration::from_millis(2);

/// A future that gets a share of a core.
pub(super) struct Throttled {
    work: BoxFuture<'static, ()>,
    budget: Budget,
    /// Set while the share is used up.
    pause: Option<Pin<Box<Sleep>>>,
}

/// A token bucket of CPU time, in seconds.
#[derive(Debug)]
struct Budget {
    left: f64,
    filled: Instant,
}

impl Throttled {
    pub fn new(work: BoxFuture<'static, ()>) -> Self {
        let budget = Budget { left: BURST.as_secs_f64(), filled: Instant::now() };
        Self { work, budget, pause: None }
    }
}

impl Budget {
    /// Subtracts the time spent; returns when to go on if nothing is left.
    fn spend(&mut self, spent: Duration, now: Instant) -> Option<Instant> {
        let earned = now.saturating_duration_since(self.filled).as_secs_f64() * SHARE;
        self.left = (self.left + earned).min(BURST.as_secs_f64()) - spent.as_secs_f64();
        self.filled = now;
        let missing = PIECE.as_secs_f64() - self.left;
        (self.left <= 0.0).then(|| now + Duration::from_secs_f64(missing / SHARE))
    }
}

impl Future for Throttled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let begin = cpu_time();
        let done = self.work.as_mut().poll(cx);
        let spent = cpu_time().saturating_sub(begin);
        if let Some(until) = self.budget.spend(spent, Instant::now())
            && done.is_pending()
        {
            let mut pause = Box::pin(sleep_until(until));
            // Ready at once only if the clock has jumped; the next poll then goes on.
            if pause.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            self.pause = Some(pause);
        }
        done
    }
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_always_has_something_to_do_gets_its_share_and_a_burst_before() {
        let start = Instant::now();
        let (mut budget, mut now, mut spent) =
            (Budget { left: BURST.as_secs_f64(), filled: start }, start, Duration::ZERO);
        let turn = Duration::from_micros(500);
        while now < start + Duration::from_secs(10) {
            spent += turn;
            now += turn;
            now = budget.spend(turn, now).unwrap_or(now);
        }
        let most = Duration::from_secs(10).mul_f64(SHARE) + BURST;
        assert!(spent <= most + turn && spent >= most - PIECE - turn, "{spent:?}, {most:?}");
    }

    #[tokio::test]
    async fn work_that_seldom_has_something_to_do_is_not_held_up() {
        let begin = Instant::now();
        let work = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        Throttled::new(Box::pin(work)).await;
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_used_up_its_share_goes_on_after_a_pause() {
        let begin = Instant::now();
        let mut turns = 0;
        let work = std::future::poll_fn(move |cx| {
            let until = cpu_time() + 2 * BURST;
            while cpu_time() < until {}
            turns += 1;
            cx.waker().wake_by_ref();
            if turns == 3 { Poll::Ready(()) } else { Poll::Pending }
        });
        Throttled::new(Box::pin(work)).await;
        let share = (2 * BURST).mul_f64(1.0 / SHARE);
        assert!(begin.elapsed() >= share, "{:?} is less than {share:?}", begin.elapsed());
    }
}

//! Limits bodies that take longer than `fetch.timeout` to half of `limits.concurrency` while lines wait for it: the
//! slowest one is failed, so that slow servers cannot hold up the others.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures::task::AtomicWaker;

/// The long bodies of a run.
#[derive(Debug, Default)]
pub(super) struct LongBodies {
    /// The limit of concurrent requests while a line waits for it; 0 while none waits.
    reached: AtomicUsize,
    places: Mutex<Vec<Arc<Place>>>,
}

#[derive(Debug, Default)]
struct Place {
    /// Bytes per second.
    speed: AtomicU64,
    is_lost: AtomicBool,
    /// Wakes the body's task when the body loses its place.
    waker: AtomicWaker,
}

/// The place of one body; dropping it frees the place.
#[derive(Debug)]
pub(super) struct LongBody {
    place: Arc<Place>,
    of: Arc<LongBodies>,
}

impl LongBodies {
    /// Sets the limit of concurrent requests while a line waits for it; `None` if none waits.
    pub fn limit_reached(&self, limit: Option<usize>) {
        self.reached.store(limit.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Adds a body with a speed in bytes per second.
    pub fn enter(self: &Arc<Self>, speed: u64) -> LongBody {
        let place = Arc::new(Place { speed: AtomicU64::new(speed), ..Place::default() });
        self.places().push(Arc::clone(&place));
        self.end_slowest();
        LongBody { place, of: Arc::clone(self) }
    }

    /// Takes the place of the slowest body if a line waits and long bodies hold more than half of the requests. Only
    /// one at a time, because that line may be the only one.
    fn end_slowest(&self) {
        let reached = self.reached.load(Ordering::Relaxed);
        if reached == 0 {
            return;
        }
        let places = self.places();
        if places.len() > half_of(reached)
            && !places.iter().any(|place| place.is_lost())
            && let Some(slowest) = places.iter().min_by_key(|place| place.speed.load(Ordering::Relaxed))
        {
            slowest.is_lost.store(true, Ordering::Relaxed);
            slowest.waker.wake();
        }
    }

    fn places(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of so many requests long bodies may hold, at least one.
fn half_of(requests: usize) -> usize {
    (requests / 2).max(1)
}

impl Place {
    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }
}

impl LongBody {
    /// Notes the body's speed.
    pub fn note(&self, speed: u64) {
        self.place.speed.store(speed, Ordering::Relaxed);
        self.of.end_slowest();
    }

    /// Whether the body has lost its place; if not, its task is woken when that happens.
    pub fn is_lost(&self, cx: &Context<'_>) -> bool {
        self.place.waker.register(cx.waker());
        self.place.is_lost()
    }
}

impl Drop for LongBody {
    fn drop(&mut self) {
        self.of.places().retain(|place| !Arc::ptr_eq(place, &self.place));
        if self.place.is_lost() {
            // The waiting line can start now; if another one waits, the schedule sets the limit again.
            self.of.limit_reached(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(body: &LongBody) -> bool {
        body.is_lost(&Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn while_no_line_waits_every_body_keeps_its_place() {
        let bodies = Arc::new(LongBodies::default());
        let held = [3, 1, 2].map(|speed| bodies.enter(speed));
        held[0].note(0);
        assert!(!held.iter().any(is_lost));
        bodies.limit_reached(Some(6));
        held[0].note(0);
        assert!(!held.iter().any(is_lost), "three are half of six");
    }

    #[test]
    fn when_a_line_begins_to_wait_the_slowest_loses_its_place_at_the_next_tick_of_any() {
        let bodies = Arc::new(LongBodies::default());
        let (slow, fast, middle) = (bodies.enter(10), bodies.enter(30), bodies.enter(20));
        slow.note(100);
        bodies.limit_reached(Some(5));
        fast.note(30);
        assert_eq!([&slow, &fast, &middle].map(is_lost), [false, false, true]);
        drop(middle);
        bodies.limit_reached(Some(5));
        let newcomer = bodies.enter(5);
        assert_eq!([&slow, &fast, &newcomer].map(is_lost), [false, false, true], "also if it is the one that came");
    }

    #[test]
    fn one_line_that_waits_ends_one_body() {
        let bodies = Arc::new(LongBodies::default());
        let mut held = Vec::from([1, 2, 3, 4].map(|speed| bodies.enter(speed)));
        let tick = |held: &[LongBody]| {
            held.iter().for_each(|body| body.note(9));
            held.iter().filter(|body| is_lost(body)).count()
        };
        bodies.limit_reached(Some(4));
        assert_eq!((tick(&held), tick(&held)), (1, 1), "the line still waits for the first one to end");
        held.retain(|body| !is_lost(body));
        assert_eq!(tick(&held), 0, "the line has what it waited for");
        bodies.limit_reached(Some(4));
        assert_eq!(tick(&held), 1, "another one waits");
        held.retain(|body| !is_lost(body));
        bodies.limit_reached(Some(4));
        assert_eq!(tick(&held), 0, "two are half of four");
    }

    #[test]
    fn one_body_is_never_too_many() {
        let bodies = Arc::new(LongBodies::default());
        bodies.limit_reached(Some(1));
        let body = bodies.enter(0);
        body.note(0);
        assert!(!is_lost(&body));
    }
}

//! The bodies of a run that take longer than `fetch.timeout`. They hold at most half of `limits.concurrency`: with one more, the
//! slowest of them ends, so that slow servers cannot hold up the others.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct LongBodies {
    most: usize,
    places: Mutex<Vec<Arc<Place>>>,
}

#[derive(Debug)]
struct Place {
    /// Bytes per second.
    speed: AtomicU64,
    is_lost: AtomicBool,
}

/// The place of one body, until it is dropped.
#[derive(Debug)]
pub(super) struct LongBody {
    place: Arc<Place>,
    of: Arc<LongBodies>,
}

impl LongBodies {
    /// Places for half of so many requests, one at least.
    pub fn new(concurrency: usize) -> Self {
        Self { most: (concurrency / 2).max(1), places: Mutex::default() }
    }

    /// How many there can be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Gives a body of so many bytes per second a place. If there is none left, the slowest loses its own.
    pub fn enter(self: &Arc<Self>, speed: u64) -> LongBody {
        let place = Arc::new(Place { speed: AtomicU64::new(speed), is_lost: AtomicBool::new(false) });
        let mut places = self.places();
        places.push(Arc::clone(&place));
        if places.len() > self.most
            && let Some((slowest, _)) =
                places.iter().enumerate().min_by_key(|(_, place)| place.speed.load(Ordering::Relaxed))
        {
            places.swap_remove(slowest).is_lost.store(true, Ordering::Relaxed);
        }
        drop(places);
        LongBody { place, of: Arc::clone(self) }
    }

    fn places(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LongBody {
    /// Notes the body's speed; whether it has still its place.
    pub fn keep(&self, speed: u64) -> bool {
        self.place.speed.store(speed, Ordering::Relaxed);
        !self.place.is_lost.load(Ordering::Relaxed)
    }
}

impl Drop for LongBody {
    fn drop(&mut self) {
        self.of.places().retain(|place| !Arc::ptr_eq(place, &self.place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_one_more_than_there_are_places_for_the_slowest_loses_its_own() {
        let bodies = Arc::new(LongBodies::new(5));
        let (slow, fast) = (bodies.enter(10), bodies.enter(30));
        let middle = bodies.enter(20);
        assert_eq!((slow.keep(100), fast.keep(30), middle.keep(20)), (false, true, true));
        let newcomer = bodies.enter(5);
        assert!(!newcomer.keep(5) && fast.keep(30) && middle.keep(20), "also if it is the one that came");
    }

    #[test]
    fn a_body_that_has_ended_leaves_its_place() {
        let bodies = Arc::new(LongBodies::new(1));
        drop(bodies.enter(1));
        let other = bodies.enter(1);
        drop(bodies.enter(0));
        assert!(other.keep(1));
    }
}

//! Single flight of DNS look-ups: concurrent requests for one name share one look-up, and its result is cached.
//!
//! No task drives a look-up: each waiting request polls it. So it runs while one of them waits, and is dropped with the
//! last one, also at the end of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use tokio::time::Instant;

use super::cache::Cache;

/// The cache of names, and the look-ups in flight.
pub(super) struct SingleFlight<T> {
    state: Mutex<State<T>>,
    start: Instant,
}

struct State<T> {
    known: Cache<T>,
    underway: HashMap<Arc<str>, Flight<T>>,
    /// Look-ups so far, which number them.
    begun: u64,
}

/// A look-up in flight.
struct Flight<T> {
    number: u64,
    look_up: WeakShared<BoxFuture<'static, T>>,
}

enum Step<T: Clone> {
    Known(T),
    Wait(Shared<BoxFuture<'static, T>>),
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Caches so many names.
    pub fn new(capacity: usize) -> Arc<Self> {
        let state = State { known: Cache::new(capacity), underway: HashMap::new(), begun: 0 };
        Arc::new(Self { state: Mutex::new(state), start: Instant::now() })
    }

    /// The cached result of a name, or else that of `look_up`, which also returns its lifetime.
    pub async fn find<F>(self: &Arc<Self>, name: &str, look_up: impl FnOnce(Arc<str>) -> F) -> T
    where
        F: Future<Output = (T, Duration)> + Send + 'static,
    {
        match self.begin(name, look_up) {
            Step::Known(known) => known,
            Step::Wait(look_up) => look_up.await,
        }
    }

    fn begin<F>(self: &Arc<Self>, name: &str, look_up: impl FnOnce(Arc<str>) -> F) -> Step<T>
    where
        F: Future<Output = (T, Duration)> + Send + 'static,
    {
        let mut state = self.lock();
        if let Some(known) = state.known.get(name, self.start.elapsed()) {
            return Step::Known(known);
        }
        if let Some(look_up) = state.underway.get(name).and_then(|underway| underway.look_up.upgrade()) {
            return Step::Wait(look_up);
        }
        state.begun += 1;
        let (number, name) = (state.begun, Arc::<str>::from(name));
        let guard = FlightGuard { names: Arc::clone(self), name: Arc::clone(&name), number };
        let found = look_up(Arc::clone(&name));
        let look_up = async move {
            let (found, lifetime) = found.await;
            guard.keep(found.clone(), lifetime);
            found
        };
        let look_up = look_up.boxed().shared();
        if let Some(weak) = look_up.downgrade() {
            state.underway.insert(name, Flight { number, look_up: weak });
        }
        Step::Wait(look_up)
    }
}

impl<T> SingleFlight<T> {
    /// Locks the state. Its holder must not await, nor drop a look-up.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a look-up from those in flight when it ends in any way.
struct FlightGuard<T> {
    names: Arc<SingleFlight<T>>,
    name: Arc<str>,
    number: u64,
}

impl<T: Clone> FlightGuard<T> {
    fn keep(&self, found: T, lifetime: Duration) {
        let now = self.names.start.elapsed();
        self.names.lock().known.put(&self.name, found, lifetime, now);
    }
}

impl<T> Drop for FlightGuard<T> {
    fn drop(&mut self) {
        let mut state = self.names.lock();
        // Another look-up may have begun since the last waiting request of this one was dropped.
        if state.underway.get(&self.name).is_some_and(|underway| underway.number == self.number) {
            state.underway.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::future::join_all;
    use tokio::time::{sleep, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    /// A look-up that takes a second and finds its own number, which is cached for `lifetime`.
    fn slow(number: &Cell<u32>, lifetime: Duration) -> impl Future<Output = (u32, Duration)> + Send + use<> {
        number.set(number.get() + 1);
        let found = number.get();
        async move {
            sleep(SECOND).await;
            (found, lifetime)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_concurrent_requests_share_one_look_up_even_if_its_answer_is_not_cached() {
        let (names, number) = (SingleFlight::new(10), Cell::new(0));
        let found = join_all((0..100).map(|_| names.find("a", |_| slow(&number, Duration::ZERO)))).await;
        assert_eq!((found, number.get()), (vec![1; 100], 1));
        assert_eq!(names.find("a", |_| slow(&number, Duration::ZERO)).await, 2);
        assert_eq!(names.find("b", |_| slow(&number, Duration::ZERO)).await, 3);
        assert!(names.lock().underway.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_cached_for_its_lifetime_from_the_end_of_the_look_up() {
        let (names, number) = (SingleFlight::new(10), Cell::new(0));
        for (wait, found) in [(0, 1), (4, 1), (1, 2)] {
            sleep(SECOND * wait).await;
            assert_eq!(names.find("a", |_| slow(&number, SECOND * 5)).await, found);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_dropped_does_not_end_the_look_up_for_the_others() {
        let (names, number) = (SingleFlight::new(10), Cell::new(0));
        let first = timeout(SECOND / 2, names.find("a", |_| slow(&number, Duration::ZERO)));
        let second = async {
            sleep(SECOND / 4).await;
            let start = Instant::now();
            (names.find("a", |_| slow(&number, Duration::ZERO)).await, start.elapsed())
        };
        let (first, (second, waited)) = tokio::join!(first, second);
        assert!(first.is_err());
        // The second request waited for the rest of the first one's look-up.
        assert_eq!((second, waited, number.get()), (1, SECOND * 3 / 4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn with_the_last_waiting_request_the_look_up_ends_and_the_next_begins_anew() {
        struct Ends(Arc<AtomicBool>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (names, ended) = (SingleFlight::new(10), Arc::new(AtomicBool::new(false)));
        let ends = Ends(Arc::clone(&ended));
        let endless = |_| async move {
            let _ends = ends;
            std::future::pending().await
        };
        assert!(timeout(SECOND, names.find("a", endless)).await.is_err());
        assert!(ended.load(Ordering::SeqCst) && names.lock().underway.is_empty());
        assert_eq!(names.find("a", |_| slow(&Cell::new(6), Duration::ZERO)).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_look_up_does_not_remove_the_one_that_follows_it() {
        let (names, number) = (SingleFlight::new(10), Cell::new(0));
        let Step::Wait(first) = names.begin("a", |_| slow(&number, Duration::ZERO)) else { panic!("nothing is known") };
        // As if the last waiting request were being dropped: none can join, and the guard still exists.
        names.lock().underway.clear();
        let Step::Wait(second) = names.begin("a", |_| slow(&number, Duration::ZERO)) else {
            panic!("nothing is known")
        };
        drop(first);
        let third = names.find("a", |_| slow(&number, Duration::ZERO));
        assert_eq!((tokio::join!(second, third), number.get()), ((2, 2), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_panics_is_not_in_the_way_of_the_next() {
        let names = SingleFlight::<u32>::new(10);
        let panics = names.find("a", |_| async { panic!("on purpose") });
        assert!(std::panic::AssertUnwindSafe(panics).catch_unwind().await.is_err());
        assert_eq!(names.find("a", |_| slow(&Cell::new(0), Duration::ZERO)).await, 1);
    }
}

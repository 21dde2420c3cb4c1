//! The DNS cache: results by name, each with its lifetime. Pure: the caller passes the time.
//!
//! Its capacity is a number of names; when it is full, the least recently used name is evicted.

use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;

/// An LRU cache of results by name.
pub(super) struct Cache<T> {
    capacity: usize,
    entries: LruCache<Arc<str>, Entry<T>>,
}

struct Entry<T> {
    known: T,
    until: Duration,
}

impl<T: Clone> Cache<T> {
    /// A cache of this many names; with 0, nothing is cached.
    pub fn new(capacity: usize) -> Self {
        // A bounded `LruCache` allocates all of its memory at the start.
        Self { capacity, entries: LruCache::unbounded() }
    }

    /// The result of a name, unless it has expired.
    pub fn get(&mut self, name: &str, now: Duration) -> Option<T> {
        if self.entries.get(name)?.until <= now {
            self.entries.pop(name);
        }
        Some(self.entries.get(name)?.known.clone())
    }

    /// Caches a name's result for a time, in place of any earlier one.
    pub fn put(&mut self, name: &Arc<str>, known: T, lifetime: Duration, now: Duration) {
        self.entries.pop(name);
        if lifetime.is_zero() || self.capacity == 0 {
            return;
        }
        if self.entries.len() >= self.capacity {
            self.entries.pop_lru();
        }
        self.entries.put(Arc::clone(name), Entry { known, until: now.saturating_add(lifetime) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// A cache with these names, put at second 0 for so many seconds each.
    fn cache_of(capacity: usize, names: &[(&str, u64)]) -> Cache<u64> {
        let mut cache = Cache::new(capacity);
        for (name, lifetime) in names {
            cache.put(&Arc::from(*name), *lifetime, seconds(*lifetime), Duration::ZERO);
        }
        cache
    }

    #[test]
    fn an_answer_is_cached_until_its_ttl_is_over_and_not_a_moment_longer() {
        let mut cache = cache_of(10, &[("a", 5)]);
        assert_eq!(cache.get("a", seconds(5) - Duration::from_nanos(1)), Some(5));
        assert_eq!(cache.get("a", seconds(5)), None);
        assert!(cache.entries.is_empty());
    }

    #[test]
    fn an_answer_without_a_time_to_live_is_not_cached_and_replaces_the_one_before() {
        let mut cache = cache_of(10, &[("a", 5), ("a", 0)]);
        assert_eq!(cache.get("a", Duration::ZERO), None);
    }

    #[test]
    fn when_it_is_full_the_name_that_was_not_asked_for_the_longest_goes() {
        let mut cache = cache_of(2, &[("a", 5), ("b", 5)]);
        cache.get("a", Duration::ZERO);
        cache.put(&Arc::from("c"), 1, seconds(5), Duration::ZERO);
        let kept = ["a", "b", "c"].map(|name| cache.get(name, Duration::ZERO).is_some());
        assert_eq!(kept, [true, false, true]);
    }

    /// A model of the cache: names in the order of their last use, the oldest first.
    #[derive(Default)]
    struct Model(Vec<(u8, u64, Duration)>);

    impl Model {
        fn get(&mut self, name: u8, now: Duration) -> Option<u64> {
            let place = self.0.iter().position(|(its_name, ..)| *its_name == name)?;
            let entry = self.0.remove(place);
            let (_, known, until) = entry;
            (now < until).then(|| {
                self.0.push(entry);
                known
            })
        }

        fn put(&mut self, capacity: usize, name: u8, known: u64, until: Duration, now: Duration) {
            self.0.retain(|(its_name, ..)| *its_name != name);
            if until > now && capacity > 0 {
                if self.0.len() == capacity {
                    self.0.remove(0);
                }
                self.0.push((name, known, until));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Each step: time passes, then a name is put for a time, or read.
        #[test]
        fn the_cache_agrees_with_its_model(
            capacity in 0..5_usize,
            steps in prop::collection::vec((0..3_u64, 0..8_u8, prop::option::of(0..6_u64)), 0..200),
        ) {
            let (mut cache, mut model, mut now) = (Cache::new(capacity), Model::default(), Duration::ZERO);
            for (number, (passed, name, lifetime)) in (0..).zip(steps) {
                now += seconds(passed);
                let text: Arc<str> = name.to_string().into();
                match lifetime.map(seconds) {
                    Some(lifetime) => {
                        cache.put(&text, number, lifetime, now);
                        model.put(capacity, name, number, now + lifetime, now);
                    }
                    None => prop_assert_eq!(cache.get(&text, now), model.get(name, now)),
                }
                prop_assert!(cache.entries.len() <= capacity);
            }
        }
    }
}

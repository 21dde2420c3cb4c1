//! Retry budgets (Google SRE book, chapter 21): retries are limited to a share of the first requests, on top of a floor, so
//! that a failing host does not get a multiple of its usual load.

use std::time::Duration;

/// The counting window: counts are dropped after one to two of these.
const WINDOW: Duration = Duration::from_secs(10);

/// The limit of retries.
#[derive(Clone, Copy, Debug)]
pub struct RetryBudgetPolicy {
    /// Retries per hundred other requests; `None` for no limit.
    pub percent: Option<u32>,
    /// Retries that are always allowed in ten seconds.
    pub floor: u64,
}

impl RetryBudgetPolicy {
    /// A policy of `percent` per hundred, and at least one every `floor_every`.
    pub fn new(percent: Option<u32>, floor_every: Duration) -> Self {
        let floor = WINDOW.as_nanos().checked_div(floor_every.as_nanos()).unwrap_or(u128::from(u64::MAX));
        Self { percent, floor: u64::try_from(floor).unwrap_or(u64::MAX) }
    }
}

/// The recent requests and retries.
#[derive(Clone, Debug, Default)]
pub(super) struct RetryBudget {
    /// The window's number since the start of the run.
    window: u64,
    now: Counted,
    before: Counted,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// Notes a request that is no retry.
    pub fn note_request(&mut self, now: Duration) {
        self.turn_to(now);
        self.now.requests += 1;
    }

    /// Notes a retry.
    pub fn note_retry(&mut self, now: Duration) {
        self.turn_to(now);
        self.now.retries += 1;
    }

    /// Whether one more retry is within the budget.
    pub fn allows(&mut self, policy: &RetryBudgetPolicy, now: Duration) -> bool {
        self.turn_to(now);
        let Some(percent) = policy.percent else { return true };
        let requests = self.now.requests + self.before.requests;
        let retries = self.now.retries + self.before.retries;
        retries < policy.floor.saturating_add(requests * u64::from(percent) / 100)
    }

    fn turn_to(&mut self, now: Duration) {
        let window = now.as_secs() / WINDOW.as_secs();
        match window - self.window {
            0 => {}
            1 => (self.before, self.now) = (self.now, Counted::default()),
            _ => (self.before, self.now) = (Counted::default(), Counted::default()),
        }
        self.window = window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Uses up the budget; returns the number of retries.
    fn drain(budget: &mut RetryBudget, policy: &RetryBudgetPolicy, now: Duration) -> u64 {
        let mut taken = 0;
        while taken < 10_000 && budget.allows(policy, now) {
            budget.note_retry(now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn retries_are_a_share_of_the_requests_on_top_of_a_floor() {
        let policy = RetryBudgetPolicy::new(Some(10), Duration::from_millis(500));
        let mut budget = RetryBudget::default();
        assert_eq!(drain(&mut budget, &policy, at(0)), 20, "two a second");
        (0..1000).for_each(|_| budget.note_request(at(1)));
        assert_eq!(drain(&mut budget, &policy, at(2)), 100);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let policy = RetryBudgetPolicy::new(Some(10), Duration::from_secs(10));
        let mut budget = RetryBudget::default();
        (0..1000).for_each(|_| budget.note_request(at(1)));
        assert_eq!(drain(&mut budget, &policy, at(12)), 101);
        assert_eq!(drain(&mut budget, &policy, at(19)), 0);
        assert_eq!(drain(&mut budget, &policy, at(20)), 0, "the requests are forgotten, the retries are not");
        assert_eq!(drain(&mut budget, &policy, at(40)), 1, "the floor");
    }

    #[test]
    fn without_a_share_there_is_no_limit() {
        let policy = RetryBudgetPolicy::new(None, Duration::from_secs(10));
        assert_eq!(drain(&mut RetryBudget::default(), &policy, at(0)), 10_000);
    }
}

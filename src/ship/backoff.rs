//! The backoff of a shipper after failed deliveries.

use std::time::Duration;

/// The longest wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait without a Retry-After.
const LONGEST: Duration = Duration::from_secs(60);

/// The longest Retry-After that is honoured.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The wait after this many successive failures: exponential, with jitter. `chance`, from 0 to 1, picks from the upper
/// half. A longer Retry-After is honoured up to an hour.
pub fn backoff(failures: u32, retry_after: Option<Duration>, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let most = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let asked = retry_after.unwrap_or_default().min(LONGEST_ASKED);
    most.div_f64(2.0).mul_f64(1.0 + chance.clamp(0.0, 1.0)).max(asked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_double_up_to_a_minute_and_are_never_shorter_than_asked(
            failures in 1..=u32::MAX, asked in prop::option::of(0..10_000_u64), chance in 0.0..=1.0
        ) {
            let asked = asked.map(Duration::from_secs);
            let wait = backoff(failures, asked, chance);
            prop_assert!(wait >= FIRST / 2 && wait <= LONGEST.max(LONGEST_ASKED));
            prop_assert!(wait >= asked.unwrap_or_default().min(LONGEST_ASKED));
            if asked.is_none() {
                let most = LONGEST.min(FIRST * 2_u32.pow(failures.min(7) - 1));
                prop_assert!(wait >= most / 2 && wait <= most, "{failures}: {wait:?}");
            }
        }
    }
}

//! How long a shipper waits after attempts that failed.

use std::time::Duration;

/// The wait after the first failure, at most.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait that doubling leads to.
const LONGEST: Duration = Duration::from_secs(60);

/// The longest time that a remote place can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The wait after so many failures in a row. It doubles, with jitter: `chance`, from 0 to 1, picks from its upper half. A
/// remote place that asks for more time gets it, up to an hour.
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

//! Durations and rates as people read them.

use std::time::Duration;

use crate::units::grouped;

/// Formats a rate with at least two digits.
pub(super) fn per_second(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { grouped(rate as u64) }
}

/// Formats a duration with two or three digits.
pub fn human(time: Duration) -> String {
    let (us, s) = (time.as_micros(), time.as_secs());
    match s {
        0 if us < 1_000 => format!("{us} µs"),
        0 if us < 10_000 => format!("{:.1} ms", us as f64 / 1e3),
        0 => format!("{} ms", us / 1000),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

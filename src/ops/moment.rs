//! Times in responses: RFC 3339 in UTC, with the seconds relative to now beside them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Serialize, Serializer};

/// RFC 3339 with milliseconds.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// A time, as responses show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        in_millis(&self.0, to)
    }
}

/// A time in the past.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Since {
    pub since: At,
    /// Seconds ago.
    pub since_s: f64,
}

impl Since {
    /// The moment this long ago.
    pub fn ago(time: Duration) -> Self {
        Self { since: at(-seconds(time)), since_s: seconds(time) }
    }

    /// This time; a future one counts as now.
    pub fn at(time: SystemTime) -> Self {
        Self::ago(time.elapsed().unwrap_or_default())
    }
}

/// A time in the future.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Until {
    pub until: At,
    /// Seconds from now.
    pub until_s: f64,
}

impl Until {
    /// The moment after this time.
    pub fn from_now(time: Duration) -> Self {
        Self { until: at(seconds(time)), until_s: seconds(time) }
    }
}

/// This moment.
pub(super) fn now() -> At {
    at(0.0)
}

/// A time of the system's clock.
pub(super) fn timestamp(time: SystemTime) -> At {
    Timestamp::try_from(time).map_or_else(|_| now(), At)
}

/// For `serialize_with`.
pub(super) fn in_millis<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&PRINTER.timestamp_to_string(time))
}

/// Seconds with a precision of milliseconds.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

fn at(seconds_from_now: f64) -> At {
    let now = Timestamp::now();
    // A time out of range is shown as now.
    let span = jiff::SignedDuration::from_millis((seconds_from_now * 1000.0) as i64);
    At(now.checked_add(span).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_in_milliseconds_beside_their_distance_from_now() {
        let text = serde_json::to_value(Since::ago(Duration::from_millis(90_500))).unwrap();
        assert_eq!(text["since_s"], 90.5);
        let shown = text["since"].as_str().unwrap();
        assert!(shown.ends_with('Z') && shown.len() == "2026-11-27T21:00:00.123Z".len(), "{shown}");
        let until = serde_json::to_value(Until::from_now(Duration::from_secs(u64::MAX))).unwrap();
        assert!(until["until"].is_string(), "a time that is out of range is shown, too");
        assert_eq!(serde_json::to_value(timestamp(SystemTime::UNIX_EPOCH)).unwrap(), "1970-01-01T00:00:00.000Z");
    }
}

//! Times in answers: RFC 3339 in UTC, beside them seconds relative to now.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// A time in the past.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Since {
    pub since: Timestamp,
    /// Seconds ago.
    pub since_s: f64,
}

impl Since {
    /// So long ago.
    pub fn ago(time: Duration) -> Self {
        Self { since: at(-seconds(time)), since_s: seconds(time) }
    }

    /// This time; one in the future counts as now.
    pub fn at(time: SystemTime) -> Self {
        Self::ago(time.elapsed().unwrap_or_default())
    }
}

/// A time in the future.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Until {
    pub until: Timestamp,
    /// Seconds from now.
    pub until_s: f64,
}

impl Until {
    /// In so long.
    pub fn from_now(time: Duration) -> Self {
        Self { until: at(seconds(time)), until_s: seconds(time) }
    }
}

/// This moment.
pub(super) fn now() -> Timestamp {
    at(0.0)
}

/// A time of the system's clock.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).map_or_else(|_| now(), to_millis)
}

/// For `serialize_with`: a timestamp in milliseconds' precision.
pub(super) fn in_millis<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to_millis(*time).serialize(to)
}

/// Seconds in milliseconds' precision.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

fn at(seconds_from_now: f64) -> Timestamp {
    let now = Timestamp::now();
    // A time that no calendar has is shown as now.
    let span = jiff::SignedDuration::from_millis((seconds_from_now * 1000.0) as i64);
    to_millis(now.checked_add(span).unwrap_or(now))
}

fn to_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_in_milliseconds_beside_their_distance_from_now() {
        let text = serde_json::to_value(Since::ago(Duration::from_millis(90_500))).unwrap();
        assert_eq!(text["since_s"], 90.5);
        let shown = text["since"].as_str().unwrap();
        assert!(shown.ends_with('Z') && shown.len() <= "2026-11-27T21:00:00.123Z".len(), "{shown}");
        let until = serde_json::to_value(Until::from_now(Duration::from_secs(u64::MAX))).unwrap();
        assert!(until["until"].is_string(), "a time beyond all calendars is one, too");
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH).to_string(), "1970-01-01T00:00:00Z");
    }
}

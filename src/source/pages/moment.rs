//! The times of items: their order, and the value of `since` in the next walk.
//!
//! APIs write times as text (RFC 3339, with or without an offset, or a date) or as numbers since 1970. A time is sent
//! back as it was read, unless `overlap` is subtracted.

use std::cmp::Ordering;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time as an API writes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    text: String,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Time(Timestamp, Form),
    /// Since 1970, in a unit that follows from the magnitude.
    Whole(i64),
    /// Likewise.
    Decimal(f64),
}

/// The format of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// With an offset from UTC.
    Instant,
    /// Without an offset: UTC, and sent without one.
    Civil,
    /// Only a date.
    Date,
}

/// The error of a text that is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is neither a time (RFC 3339) nor a number")]
pub(super) struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let text = text.trim();
        let number = || text.parse().map(Value::Whole).ok().or_else(|| decimal(text));
        let value = number().or_else(|| time(text)).ok_or(NoMoment)?;
        Ok(Self { text: text.to_owned(), value })
    }
}

fn decimal(text: &str) -> Option<Value> {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    text.parse().ok().filter(|number: &f64| is_number && number.is_finite()).map(Value::Decimal)
}

fn time(text: &str) -> Option<Value> {
    if let Ok(at) = text.parse() {
        return Some(Value::Time(at, Form::Instant));
    }
    let has_time = text.contains(':');
    let (civil, form) = match has_time {
        true => (text.parse::<DateTime>().ok()?, Form::Civil),
        false => (text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()), Form::Date),
    };
    Some(Value::Time(Offset::UTC.to_timestamp(civil).ok()?, form))
}

impl Moment {
    /// The newer of two times. If they cannot be compared (a text and a number), the first one.
    pub fn newer(self, other: Self) -> Self {
        if self.order(&other) == Some(Ordering::Less) { other } else { self }
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self.value, other.value) {
            (Value::Time(own, _), Value::Time(other, _)) => Some(own.cmp(&other)),
            (Value::Whole(own), Value::Whole(other)) => Some(own.cmp(&other)),
            (Value::Time(..), _) | (_, Value::Time(..)) => None,
            (own, other) => own.number().partial_cmp(&other.number()),
        }
    }

    /// The older of this and `at`, in the format of this.
    pub fn at_most(self, at: Timestamp) -> Self {
        let text = match self.value {
            Value::Time(own, form) => (own > at).then(|| form.write(at)),
            Value::Whole(number) => {
                let most = at.as_nanosecond() / unit(number as f64).as_nanos().cast_signed();
                (i128::from(number) > most).then(|| most.to_string())
            }
            Value::Decimal(number) => {
                let most = at.as_nanosecond() as f64 / unit(number).as_nanos() as f64;
                (number > most).then(|| most.to_string())
            }
        };
        text.and_then(|text| text.parse().ok()).unwrap_or(self)
    }

    /// The text of the time that is older by `overlap`.
    pub fn minus(&self, overlap: Duration) -> String {
        if overlap.is_zero() {
            return self.text.clone();
        }
        match self.value {
            Value::Time(at, form) => form.write(earlier(at, overlap)),
            Value::Whole(number) => {
                let overlap = overlap.as_nanos().div_ceil(unit(number as f64).as_nanos());
                number.saturating_sub(i64::try_from(overlap).unwrap_or(i64::MAX)).to_string()
            }
            Value::Decimal(number) => (number - overlap.as_secs_f64() / unit(number).as_secs_f64()).to_string(),
        }
    }
}

impl Value {
    fn number(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Decimal(number) => number,
            Self::Time(..) => f64::NAN,
        }
    }
}

impl Form {
    fn write(self, at: Timestamp) -> String {
        match self {
            Self::Instant => at.to_string(),
            Self::Civil => Offset::UTC.to_datetime(at).to_string(),
            Self::Date => Offset::UTC.to_datetime(at).date().to_string(),
        }
    }
}

/// The unit of a numeric time. Numbers above the limit of seconds would mean the year 5138 and later.
fn unit(number: f64) -> Duration {
    match number.abs() {
        n if n < 1e11 => Duration::from_secs(1),
        n if n < 1e14 => Duration::from_millis(1),
        n if n < 1e17 => Duration::from_micros(1),
        _ => Duration::from_nanos(1),
    }
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> Moment {
        text.parse().unwrap()
    }

    #[test]
    fn the_newer_of_two_is_the_later_however_they_are_written() {
        for (older, newer) in [
            ("2026-05-04T03:02:01Z", "2026-05-04T03:02:01.5Z"),
            ("2026-05-04T05:00:00+02:00", "2026-05-04T04:00:00Z"),
            ("2026-05-04", "2026-05-04T00:00:01"),
            ("2026-05-04 03:02:01", "2026-05-04T03:02:02Z"),
            ("999", "1000"),
            ("1777863721", "1777863721.000001"),
            ("-5", "0"),
        ] {
            let (older, newer) = (moment(older), moment(newer));
            assert_eq!(older.clone().newer(newer.clone()), newer);
            assert_eq!(newer.clone().newer(older), newer);
        }
        let (time, number) = (moment("2026-05-04"), moment("1777863721"));
        assert_eq!(time.clone().newer(number.clone()), time);
        assert_eq!(number.clone().newer(time), number);
    }

    #[test]
    fn the_time_sent_has_the_format_of_the_time_read() {
        let overlap = Duration::from_secs(300);
        for (read, sent) in [
            ("2026-05-04T03:02:01Z", "2026-05-04T02:57:01Z"),
            ("2026-05-04T03:02:01.250Z", "2026-05-04T02:57:01.25Z"),
            ("2026-05-04T05:02:01+02:00", "2026-05-04T02:57:01Z"),
            ("2026-05-04T03:02:01", "2026-05-04T02:57:01"),
            ("2026-05-04", "2026-05-03"),
            ("1777863721", "1777863421"),
            ("1777863721000", "1777863421000"),
            ("1777863721000000", "1777863421000000"),
            ("1777863721000000000", "1777863421000000000"),
            ("1777863721.5", "1777863421.5"),
        ] {
            assert_eq!(moment(read).minus(overlap), sent);
            assert_eq!(moment(read).minus(Duration::ZERO), read);
        }
        assert_eq!(moment("1777863721").minus(Duration::from_millis(500)), "1777863720", "never less than `overlap`");
    }

    #[test]
    fn a_text_that_is_neither_a_time_nor_a_number_is_refused() {
        for text in ["", "yesterday", "nan", "inf", "2026-13-01", "12:00", "0x10", "Mon, 04 May 2026 00:00:00 GMT"] {
            assert_eq!(text.parse::<Moment>(), Err(NoMoment), "{text}");
        }
    }

    #[test]
    fn a_later_time_is_capped_in_its_own_format() {
        let at: Timestamp = "2026-05-04T03:02:01.5Z".parse().unwrap();
        for (read, capped) in [
            ("2099-01-01T00:00:00+02:00", "2026-05-04T03:02:01.5Z"),
            ("2026-05-04T03:02:02", "2026-05-04T03:02:01.5"),
            ("2026-05-05", "2026-05-04"),
            ("1777863722", "1777863721"),
            ("1777863722000", "1777863721500"),
            ("1777863722.25", "1777863721.5"),
        ] {
            assert_eq!(moment(read).at_most(at), moment(capped));
            assert_eq!(moment(capped).at_most(at), moment(capped));
        }
    }

    proptest! {
        #[test]
        fn the_time_sent_is_older_by_at_least_the_overlap(seconds in 0i64..4_000_000_000, overlap in 1u64..10_000_000) {
            let overlap = Duration::from_secs(overlap);
            let at = Timestamp::from_second(seconds).unwrap();
            let civil = Offset::UTC.to_datetime(at);
            for text in [at.to_string(), civil.to_string(), civil.date().to_string(), seconds.to_string(), (seconds * 1000).to_string()] {
                let read = moment(&text);
                let sent = moment(&read.minus(overlap));
                prop_assert_eq!(sent.clone().newer(read.clone()), read.clone(), "{}", text);
                let shifted = moment(&sent.minus(Duration::from_nanos(1)));
                prop_assert!(shifted.order(&sent) != Some(Ordering::Greater));
                if let (Value::Time(read, _), Value::Time(sent, _)) = (read.value, sent.value) {
                    prop_assert!(sent.as_second() + overlap.as_secs() as i64 <= read.as_second());
                }
            }
        }

        #[test]
        fn a_moment_is_stored_as_its_text(text in "[0-9]{1,12}(\\.[0-9]{1,4})?") {
            let stored = serde_json::to_string(&moment(&text)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Moment>(&stored).unwrap(), moment(&text));
        }
    }
}

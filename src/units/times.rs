//! Times and rates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time, written `500ms`, `30s`, `10m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// The longest span of a key: longer than any run, and short enough that no sum of times overflows.
    pub const LONGEST: Self = Self::secs(365 * 24 * 3600);

    /// A span of whole seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = || format!("`{text}` is not a duration; write for example `500ms`, `30s` or `10m`");
        let signed: jiff::SignedDuration = text.parse().map_err(|_| hint())?;
        Duration::try_from(signed).map(Self).map_err(|_| hint())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(signed) => write!(f, "{signed:#}"),
            Err(_) => write!(f, "{:?}", self.0),
        }
    }
}

/// A rate of starts: `5/s`, `20/10s`, `0.5/s`, `100/day` or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// No limit.
    Unlimited,
    /// `count` starts in `times` units of time, evenly spaced, because servers may reject a burst.
    Per {
        /// The number of starts.
        count: Thousandths,
        /// The number of units of time.
        times: u32,
        /// The unit of time.
        unit: Period,
    },
}

/// A number with up to three decimals, more than 0 and at most 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thousandths(u32);

/// The unit of time of a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// `s`
    Second,
    /// `min`
    Minute,
    /// `h`
    Hour,
    /// `day`
    Day,
}

impl Rate {
    /// The time from one start to the next; zero when there is no limit.
    pub fn every(self) -> Duration {
        match self {
            Self::Unlimited => Duration::ZERO,
            Self::Per { count: Thousandths(count), times, unit } => {
                let nanos = unit.length().as_nanos() * u128::from(times) * 1000 / u128::from(count);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }

    /// A rate of so many starts a second.
    pub const fn per_second(count: u16) -> Self {
        Self::Per { count: Thousandths(count as u32 * 1000), times: 1, unit: Period::Second }
    }
}

impl Period {
    const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "day",
        }
    }

    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 24 * 3600,
        })
    }
}

impl FromStr for Thousandths {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        const MOST: u32 = 1_000_000;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        if !is_number(whole) || !is_number(decimals) || decimals.len() > 3 {
            return Err(());
        }
        let whole: u32 = whole.parse().ok().filter(|whole| *whole <= MOST).ok_or(())?;
        let thousandths = whole * 1000 + format!("{decimals:0<3}").parse::<u32>().map_err(|_| ())?;
        if (1..=MOST * 1000).contains(&thousandths) { Ok(Self(thousandths)) } else { Err(()) }
    }
}

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 1000, self.0 % 1000);
        match decimals {
            0 => write!(f, "{whole}"),
            _ => f.write_str(format!("{whole}.{decimals:03}").trim_end_matches('0')),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let parse = || {
            let (count, period) = text.split_once('/')?;
            let period = period.trim();
            let digits = period.bytes().take_while(u8::is_ascii_digit).count();
            let times = if digits == 0 { 1 } else { period[..digits].parse().ok().filter(|times| *times > 0)? };
            let unit = Period::ALL.into_iter().find(|unit| unit.name() == period[digits..].trim_start())?;
            Some(Self::Per { count: count.trim().parse().ok()?, times, unit })
        };
        let rate = parse().ok_or_else(|| {
            format!(
                "`{text}` is not a rate; write for example `5/s`, `0.5/s`, `20/10s`, `100/min`, `1000/h`, `100/day` or `unlimited`"
            )
        })?;
        if rate.every() > Span::LONGEST.0 {
            return Err(format!("`{text}` is less than one a year; raise it"));
        }
        Ok(rate)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Per { count, times: 1, unit } => write!(f, "{count}/{}", unit.name()),
            Self::Per { count, times, unit } => write!(f, "{count}/{times}{}", unit.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_evenly_spaced_and_shown_as_they_are_written() {
        for (text, every) in [
            ("5/s", Duration::from_millis(200)),
            ("0.5/s", Duration::from_secs(2)),
            ("20/10s", Duration::from_millis(500)),
            ("2.125/s", Duration::from_nanos(470_588_235)),
            ("1/15min", Duration::from_secs(900)),
            ("1000/h", Duration::from_millis(3600)),
            ("100/day", Duration::from_secs(864)),
            ("1000000/s", Duration::from_micros(1)),
            ("1/365day", Span::LONGEST.0),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.every(), rate.to_string()), (every, text.to_owned()));
        }
        assert_eq!(" 3 / 10 s ".trim().parse::<Rate>(), "3/10s".parse());
        assert_eq!("7/s".parse(), Ok(Rate::per_second(7)));
    }

    #[test]
    fn a_wrong_rate_lists_the_forms() {
        for text in [
            "",
            "5",
            "/s",
            "5/",
            "0/s",
            "0.000/s",
            "0.0001/s",
            "1000000.001/s",
            "1000001/s",
            "-1/s",
            "5/0s",
            "5/d",
            "5/m",
            "1e3/s",
            "5/s/s",
            ".5/s",
            "5./s",
            "5/99999999999s",
            "5/sec",
            "Unlimited",
            "5/10",
            "+5/s",
        ] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.contains("`20/10s`") && error.contains("`100/day`"), "{text}: {error}");
        }
        assert_eq!("1/366day".parse::<Rate>(), Err("`1/366day` is less than one a year; raise it".to_owned()));
    }
}

//! Times and rates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time, written `500ms`, `30s`, `10m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// The longest that a key can say: longer than any run, and short enough that no sum of times overflows.
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

/// How often something may start: `5/s`, `100/min`, `1000/h` or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// No limit.
    Unlimited,
    /// `count` starts in `period`, evenly spaced.
    Per {
        /// How many starts.
        count: u32,
        /// In which unit of time.
        period: Period,
    },
}

/// The unit of time of a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// `s`
    Second,
    /// `min`
    Minute,
    /// `h`
    Hour,
}

impl Rate {
    /// The time from one start to the next; zero when there is no limit.
    pub fn every(self) -> Duration {
        match self {
            Self::Unlimited => Duration::ZERO,
            Self::Per { count, period } => period.length() / count,
        }
    }
}

impl Period {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }

    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
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
            let count = count.trim().parse().ok().filter(|count| (1..=1_000_000).contains(count))?;
            let period = Period::ALL.into_iter().find(|p| p.name() == period.trim())?;
            Some(Self::Per { count, period })
        };
        parse().ok_or_else(|| {
            format!("`{text}` is not a rate; write for example `5/s`, `100/min`, `1000/h` or `unlimited`")
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Per { count, period } => write!(f, "{count}/{}", period.name()),
        }
    }
}

//! The units a person writes: `500ms`, `30s`, `10m`; `64KiB`, `16MiB`; `5/s`, `100/min`, `unlimited`; `10.0.0.0/8`.
//!
//! Each type reads and writes the same text in TOML, on the command line and in messages.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written `500ms`, `30s`, `10m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
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

/// A number of bytes, written `512`, `64KiB` or `16MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// A size in KiB.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// A size in MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_| format!("`{text}` is not a size; write for example `64KiB` or `16MiB`"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match unit.iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
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

/// How many requests at once: a number, or `adaptive`, which finds it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// So many.
    Fixed(u32),
    /// As many as do good.
    Adaptive,
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "adaptive" => Ok(Self::Adaptive),
            _ => text
                .parse()
                .map(Self::Fixed)
                .map_err(|_| format!("`{text}` is no number of requests; write for example `8`, or `adaptive`")),
        }
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => n.fmt(f),
            Self::Adaptive => f.write_str("adaptive"),
        }
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl de::Visitor<'_> for NumberOrText {
            type Value = Concurrency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("requests at once; write a number without quotes, or \"adaptive\" in quotes")
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Concurrency, E> {
                u32::try_from(n).map(Concurrency::Fixed).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Concurrency, E> {
                if text == "adaptive" {
                    Ok(Concurrency::Adaptive)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
        }
        from.deserialize_any(NumberOrText)
    }
}

impl Serialize for Concurrency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(n) => to.serialize_u32(*n),
            Self::Adaptive => to.serialize_str("adaptive"),
        }
    }
}

/// A share, written `10%`, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many per hundred.
    Percent(u32),
    /// No limit.
    Unlimited,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
        percent
            .filter(|percent| *percent <= 10_000)
            .map(Self::Percent)
            .ok_or_else(|| format!("`{text}` is not a share; write for example `10%` or `unlimited`"))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

/// A network in CIDR notation, or an address as the network of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>()
            .or_else(|_| address())
            .map(Self)
            .map_err(|_| format!("`{text}` is not a network; write for example `127.0.0.0/8` or `10.1.2.3`"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Gives a type that reads and writes as text its serde form: a string; `$what` is for whoever wrote something else.
macro_rules! serde_as_text {
    ($($type:ty: $what:literal),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                from.deserialize_str(Text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

serde_as_text!(
    Span: "a duration in quotes; write for example \"500ms\", \"30s\" or \"10m\"",
    Size: "a size in quotes; write for example \"64KiB\" or \"16MiB\"",
    Rate: "a rate in quotes; write for example \"5/s\", \"100/min\", \"1000/h\" or \"unlimited\"",
    Share: "a share in quotes; write for example \"10%\" or \"unlimited\"",
    Network: "a network in quotes; write for example \"127.0.0.0/8\" or \"10.1.2.3\""
);

/// A number as people read it: 16,210.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with what it counts: `1 line`, `2 lines`.
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_what_they_write() {
        for text in ["500ms", "30s", "10m"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["512", "64KiB", "16MiB", "1GiB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        for text in ["5/s", "100/min", "1000/h", "unlimited"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["10%", "0%", "unlimited"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for text in ["8", "adaptive"] {
            assert_eq!(text.parse::<Concurrency>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_rate_is_one_start_every_period_over_n() {
        assert_eq!("5/s".parse::<Rate>().unwrap().every(), Duration::from_millis(200));
        assert_eq!("100/min".parse::<Rate>().unwrap().every(), Duration::from_millis(600));
    }

    #[test]
    fn numbers_are_grouped_as_people_read_them() {
        let shown: Vec<_> = [0, 999, 1000, 16_210, 1_000_000].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "999", "1,000", "16,210", "1,000,000"]);
    }

    #[test]
    fn a_wrong_unit_is_told_how_to_write_it() {
        for text in ["0/s", "5/d", "x/s", "5", "2000000/s"] {
            assert!(text.parse::<Rate>().unwrap_err().contains("`5/s`"), "{text}");
        }
        assert!("-5s".parse::<Span>().unwrap_err().contains("`30s`"));
        assert!("16 MB?".parse::<Size>().unwrap_err().contains("`16MiB`"));
    }
}

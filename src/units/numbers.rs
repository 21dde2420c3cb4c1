//! Sizes, speeds, concurrency and shares.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

/// Bytes per second, written `1KiB/s`; `0` for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speed(pub u32);

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a speed; write for example `1KiB/s`, or `0` for none");
        if text == "0" {
            return Ok(Self(0));
        }
        let size: Size = text.strip_suffix("/s").and_then(|size| size.trim_end().parse().ok()).ok_or_else(wrong)?;
        u32::try_from(size.0).map(Self).map_err(|_| format!("`{text}` is more than 4GiB/s; lower it"))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            bytes => write!(f, "{}/s", Size(bytes.into())),
        }
    }
}

/// The number of concurrent requests: fixed, or `adaptive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// A fixed number.
    Fixed(u32),
    /// Adjusted to the observed latency.
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
                .map_err(|_| format!("`{text}` is not a number of requests; write for example `8` or `adaptive`")),
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
                f.write_str("concurrent requests; write a number without quotes, or \"adaptive\" in quotes")
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
    /// A percentage.
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

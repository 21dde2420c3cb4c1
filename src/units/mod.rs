//! Configuration values: `500ms`, `30s`, `10m`; `64KiB`, `16MiB`; `5/s`, `100/min`, `unlimited`; `10.0.0.0/8`.
//!
//! Each type has the same text in TOML, on the command line and in messages.

mod numbers;
mod secret;
mod template;
mod times;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use numbers::{Concurrency, Share, Size, Speed};
pub use secret::{SECRET, Secret};
pub use template::{Template, read_content};
pub use times::{Rate, Span};

/// A network in CIDR notation, or a single address.
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

/// Implements serde for types that parse from and display as text; `$what` is the expected value in error messages.
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
    Speed: "a speed in quotes; write for example \"1KiB/s\", or \"0\" for none",
    Size: "a size in quotes; write for example \"64KiB\" or \"16MiB\"",
    Rate: "a rate in quotes; write for example \"5/s\", \"0.5/s\", \"20/10s\", \"100/min\", \"1000/h\", \"100/day\" or \"unlimited\"",
    Share: "a share in quotes; write for example \"10%\" or \"unlimited\"",
    Network: "a network in quotes; write for example \"127.0.0.0/8\" or \"10.1.2.3\""
);

/// A number with grouped digits: 16,210.
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

/// A number cut to three digits: 16.2k, 1.23M.
pub fn rounded(n: u64) -> String {
    let (unit, name) = match n {
        0..1_000 => return n.to_string(),
        1_000..1_000_000 => (1e3, "k"),
        1_000_000..1_000_000_000 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    // Cut instead of rounded, so that 999,999 is not 1000k.
    let number = n as f64 / unit;
    let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    let step = 10f64.powi(digits as i32);
    format!("{:.digits$}{name}", (number * step).floor() / step)
}

/// A text shortened in its middle to at most so many columns, at least three.
pub fn shortened(text: &str, columns: usize) -> String {
    let count = text.chars().count();
    if count <= columns {
        return text.to_owned();
    }
    let kept = columns.max(3) - 1;
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// A number of bytes with a unit: 53.6 KiB.
pub fn in_bytes(n: u64) -> String {
    bytesize::ByteSize(n).display().iec().to_string()
}

/// A number with its noun: `1 line`, `2 lines`.
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
    fn digits_are_grouped_in_threes() {
        let shown: Vec<_> = [0, 999, 1000, 16_210, 1_000_000].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "999", "1,000", "16,210", "1,000,000"]);
    }

    #[test]
    fn numbers_and_names_are_shortened() {
        let numbers = [0, 999, 1000, 16_210, 123_456, 999_999, 1_234_567, 12_000_000, 4_000_000_000];
        let shown = ["0", "999", "1.00k", "16.2k", "123k", "999k", "1.23M", "12.0M", "4.00G"];
        assert_eq!(numbers.map(rounded), shown);
        assert_eq!(shortened("api.example.com", 15), "api.example.com");
        assert_eq!(shortened("api.example.com", 12), "api.ex…e.com");
        assert_eq!(shortened("äöüäöü", 4), "äö…ü");
    }

    #[test]
    fn the_error_for_a_wrong_unit_has_an_example() {
        for text in ["0/s", "5/d", "x/s", "5", "2000000/s"] {
            assert!(text.parse::<Rate>().unwrap_err().contains("`5/s`"), "{text}");
        }
        assert!("-5s".parse::<Span>().unwrap_err().contains("`30s`"));
        assert!("16 MB?".parse::<Size>().unwrap_err().contains("`16MiB`"));
    }
}

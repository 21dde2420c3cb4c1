//! The names of rotated files, and their order. Next: `rotation` and `glob`.

use std::cmp::Ordering;
use std::ffi::OsStr;

/// The name of a rotated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RotatedName {
    pub place: Place,
    /// Its numbers: a counter, or the parts of a date.
    numbers: Vec<u64>,
}

/// The place of the number or date in the name of a rotated file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `urls.txt.1`, `urls.txt-20261126`
    AtEnd,
    /// `urls-0001.txt`, `urls_2026-11-26.txt`
    BeforeExtension,
}

impl RotatedName {
    /// Parses `other` as the name of a file that was rotated away from `name`.
    pub fn of(name: &OsStr, other: &OsStr) -> Option<Self> {
        let (name, other) = (name.to_str()?, other.to_str()?);
        if let Some(rest) = other.strip_prefix(name) {
            let numbers = numbers(rest.strip_prefix(['.', '-'])?)?;
            return Some(Self { place: Place::AtEnd, numbers });
        }
        let (stem, _) = name.rsplit_once('.')?;
        let rest = other.strip_prefix(stem)?.strip_suffix(&name[stem.len()..])?;
        let numbers = numbers(rest.strip_prefix(['.', '-', '_'])?)?;
        Some(Self { place: Place::BeforeExtension, numbers })
    }

    /// The number, if it is a counter and not a date.
    fn counter(&self) -> Option<u64> {
        const HIGHEST: u64 = 9999;
        if let [number] = self.numbers.as_slice() { Some(*number).filter(|number| *number <= HIGHEST) } else { None }
    }
}

/// The numbers of a counter or a date, such as `1` and `2026-11-26T13:00`.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let is_date = |c: char| c.is_ascii_digit() || "-_.:T".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(is_date) {
        return None;
    }
    let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}

/// Whether the numbers of rotated files rise or fall with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The newest has the highest number: files keep their names.
    Rising,
    /// The newest has the lowest number: files are renamed at each rotation.
    Falling,
}

impl Direction {
    /// The direction of files with these names and last writes; if that is ambiguous, the one of `logrotate`.
    pub fn of(rotated: &[(&RotatedName, i64)]) -> Self {
        let counter = |(name, modified): &(&RotatedName, i64)| Some((name.counter()?, *modified));
        let mut counted: Vec<_> = rotated.iter().filter_map(counter).collect();
        counted.sort_unstable();
        let count = |wanted| counted.windows(2).filter(|pair| pair[0].1.cmp(&pair[1].1) == wanted).count();
        let are_before_extension = || rotated.iter().all(|(name, _)| name.place == Place::BeforeExtension);
        match count(Ordering::Less).cmp(&count(Ordering::Greater)) {
            Ordering::Less => Self::Falling,
            Ordering::Greater => Self::Rising,
            Ordering::Equal if are_before_extension() => Self::Rising,
            Ordering::Equal => Self::Falling,
        }
    }

    /// Compares the ages of two files by their names; the older is less.
    pub fn compare(self, a: &RotatedName, b: &RotatedName) -> Ordering {
        match (self, a.counter().zip(b.counter())) {
            (Self::Falling, Some((a, b))) => b.cmp(&a),
            _ => a.numbers.cmp(&b.numbers),
        }
    }
}

/// Whether `other` is the name of a file that was rotated away from `name`.
pub(super) fn is_rotated(name: &OsStr, other: &OsStr) -> bool {
    RotatedName::of(name, other).is_some_and(|name| name.place == Place::AtEnd)
}

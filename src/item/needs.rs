//! The parts of responses that sinks and sources need; other parts are not kept.

use std::ops::BitOr;

/// The parts of a response that a component needs; those of a run are OR-ed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The body.
    pub body: BodyNeed,
    /// The headers of the final response.
    pub response_headers: bool,
    /// The SHA-256 of the body.
    pub digest: bool,
}

/// How much of a body is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BodyNeed {
    /// Its length.
    #[default]
    Length,
    /// Its bytes, after decoding.
    Decoded,
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            body: self.body.max(other.body),
            response_headers: self.response_headers | other.response_headers,
            digest: self.digest | other.digest,
        }
    }
}

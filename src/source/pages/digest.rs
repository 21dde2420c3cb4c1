//! Digests that identify requests and bodies.

use std::fmt;
use std::num::ParseIntError;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The first half of a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest([u8; Digest::BYTES]);

impl Digest {
    /// Its length.
    pub const BYTES: usize = 16;

    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let whole = digest(&SHA256, bytes);
        let mut half = [0; Self::BYTES];
        half.iter_mut().zip(whole.as_ref()).for_each(|(own, byte)| *own = *byte);
        Self(half)
    }

    /// Reads a stored digest.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The digest for storage.
    pub fn bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseIntError;

    fn try_from(text: String) -> Result<Self, ParseIntError> {
        u128::from_str_radix(&text, 16).map(|number| Self(number.to_be_bytes()))
    }
}

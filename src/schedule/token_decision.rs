//! The decisions of a host's token (`token.rs`): on a line that got a response, and on held lines.

use std::time::Duration;

use crate::item::{Attempt, ErrorKind};

/// The decision on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenDecision {
    /// Its response is decided on as any other.
    Decide,
    /// It is sent again at once, because it carried an older generation.
    Resend,
    /// It is held with its response, if that is small.
    Hold,
    /// It is held without its response: it will be sent again.
    HoldWithoutAnswer,
}

/// A change for held lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The token was good at this time: the responses of lines that were held by then are their records.
    Accepted { at: Duration },
    /// It is refused: their responses are dropped, because they will be sent again.
    Refused,
    /// There is a new token: they are sent again.
    Renewed,
    /// No new one came: they are sent a last time. Other lines start as before.
    Alone,
    /// No new one came: they are sent a last time, and no other line is.
    Spent,
}

/// The token state of a line.
#[derive(Debug, Default)]
pub(super) struct LineToken {
    /// How often it was sent again for a new generation.
    pub resent: u8,
    /// Whether it is sent a last time.
    pub is_last: bool,
    /// Since when it is held, if it is.
    pub held_since: Option<Duration>,
    /// Whether it was not refused, and keeps its place until there is a new token.
    pub is_kept: bool,
    /// Its response, with the error of its record, while it is held.
    pub answer: Option<(Attempt, (ErrorKind, String))>,
}

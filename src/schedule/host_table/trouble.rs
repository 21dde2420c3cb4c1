//! What went wrong at a host.

use std::sync::Arc;
use std::time::Duration;

use crate::item::ErrorKind;

/// What went wrong at a host.
#[derive(Debug)]
pub(in crate::schedule) struct Trouble {
    /// Attempts that failed, and answers that asked for another attempt.
    pub count: u64,
    /// The last one, with when it was.
    pub last: (ErrorKind, Arc<str>),
    pub at: Duration,
}

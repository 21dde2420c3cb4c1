//! The errors of a host.

use std::sync::Arc;
use std::time::Duration;

use crate::item::ErrorKind;

/// The errors of a host.
#[derive(Debug)]
pub(in crate::schedule) struct Trouble {
    /// Failed attempts, and responses that are retried.
    pub count: u64,
    /// The last one, and its time.
    pub last: (ErrorKind, Arc<str>),
    pub at: Duration,
}

//! What the tests of the whole program share: servers that play scripts, and a driver for the real binary.

pub mod certs;
pub mod clients;
pub mod codings;
pub mod dns;
pub mod fetchd;
pub mod origin;
pub mod pipe;

use std::time::Duration;

/// How long a test waits for something that must happen: far longer than it takes, for machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(10);

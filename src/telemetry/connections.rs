//! The connections of a run, as its summary shows them.

use std::fmt;

use crate::fetch::ConnectionCounts;
use crate::units::{counted, grouped};

/// The connections of the run.
#[derive(Default)]
pub(super) struct Connections {
    pub opened: u64,
    /// Requests that reused a connection.
    pub reused: u64,
    with_tls: u64,
    /// Connections that resumed a TLS session.
    pub resumed: u64,
}

impl Connections {
    pub fn of(counts: &ConnectionCounts) -> Self {
        let (opened, reused) = (counts.opened(), counts.reused());
        Self { opened, reused, with_tls: counts.with_tls(), resumed: counts.resumed() }
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, reused, with_tls, resumed } = self;
        write!(f, "{} opened · {} reused one", grouped(*opened), counted(*reused, "request"))?;
        match with_tls {
            0 => Ok(()),
            _ => write!(f, " · {} of {} resumed a TLS session", grouped(*resumed), grouped(*with_tls)),
        }
    }
}

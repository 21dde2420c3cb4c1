//! Times of hosts, at most one for each host; the host itself keeps its own.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::schedule::line_book::HostId;

/// The times, in order.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Duration, HostId)>);

impl Timers {
    /// Sets the time of a host, in place of the one that it keeps.
    pub fn set(&mut self, id: HostId, kept: &mut Option<Duration>, new: Option<Duration>) {
        let old = std::mem::replace(kept, new);
        if old == new {
            return;
        }
        if let Some(at) = old {
            self.0.remove(&(at, id));
        }
        if let Some(at) = new {
            self.0.insert((at, id));
        }
    }

    /// The first time.
    pub fn next(&self) -> Option<Duration> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The host whose time has come first.
    pub fn due(&self, now: Duration) -> Option<HostId> {
        self.0.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }
}

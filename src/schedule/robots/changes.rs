//! Sites whose robots.txt becomes unavailable, and is fetched again.

use std::sync::Arc;
use std::time::Duration;

use crate::schedule::Core;

/// A change of a site's robots.txt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotsChange {
    /// Scheme, host and port.
    pub site: Arc<str>,
    /// The change.
    pub switch: RobotsSwitch,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RobotsSwitch {
    /// The file could not be fetched, for this reason: the lines of the site wait.
    Unavailable(String),
    /// The file was unavailable for `health.give_up`: the lines of the site fail until it is fetched.
    GaveUp,
    /// The file was fetched again after this time.
    Fetched(Duration),
}

impl Core {
    /// The first change of a robots.txt that was not taken yet.
    pub fn take_robots_change(&mut self) -> Option<RobotsChange> {
        self.robots.as_mut()?.changes.take()
    }

    /// The number of changes since the last call that were not kept.
    pub fn take_dropped_robots_changes(&mut self) -> u64 {
        self.robots.as_mut().map_or(0, |robots| robots.changes.take_dropped())
    }
}

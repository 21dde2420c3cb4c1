//! When lines of a host are due that wait because a robots.txt is unavailable. So the wait of the host's next line can be
//! told from a back-off.

use std::time::Duration;

/// A time for each site of the host whose robots.txt is unavailable.
#[derive(Debug, Default)]
pub(in crate::schedule) struct RobotsWaits(Vec<Duration>);

impl RobotsWaits {
    /// Notes that lines of a site wait until then.
    pub fn note(&mut self, until: Duration, now: Duration) {
        self.0.retain(|other| *other > now && *other != until);
        self.0.push(until);
    }

    /// Whether lines that are due at this time wait for a robots.txt.
    pub fn contains(&self, due: Duration) -> bool {
        self.0.contains(&due)
    }
}

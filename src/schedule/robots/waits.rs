//! When lines of a host are due that wait because a robots.txt is unavailable. So the wait of the host's next line can be
//! told from a back-off.

use std::time::Duration;

/// The waits of each site of the host whose robots.txt is unavailable.
#[derive(Debug, Default)]
pub(in crate::schedule) struct RobotsWaits(Vec<RobotsWait>);

/// The wait of a site's lines for the next fetch of its robots.txt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schedule) struct RobotsWait {
    /// When the file may be fetched again.
    pub until: Duration,
    /// When the lines fail.
    pub fails_at: Duration,
}

impl RobotsWaits {
    /// Notes the wait of a site.
    pub fn note(&mut self, wait: RobotsWait, now: Duration) {
        self.0.retain(|other| other.until > now && other.until != wait.until);
        self.0.push(wait);
    }

    /// The wait of lines that are due at this time, if they wait for a robots.txt.
    pub fn of(&self, due: Duration) -> Option<RobotsWait> {
        self.0.iter().find(|wait| wait.until == due).copied()
    }
}

//! When lines of a host are due that wait because a robots.txt is unavailable. So the wait of the host's next line can be
//! told from a back-off.

use std::time::Duration;

/// The waits of each site of the host whose robots.txt is unavailable.
#[derive(Debug, Default)]
pub(in crate::schedule) struct RobotsWaits {
    waits: Vec<RobotsWait>,
    /// The wait of the site whose file is fetched again now.
    fetched: Option<RobotsWait>,
}

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
        self.waits.retain(|other| other.until > now && other.until != wait.until);
        self.waits.push(wait);
    }

    /// The wait of lines that are due at this time, if they wait for a robots.txt.
    pub fn of(&self, due: Duration) -> Option<RobotsWait> {
        self.waits.iter().find(|wait| wait.until == due).copied()
    }

    /// The wait of the site whose file is fetched again now.
    pub fn fetched(&self) -> Option<RobotsWait> {
        self.fetched
    }

    /// Notes that the file is fetched for the lines that were due at this time: their wait is over when it ends.
    pub fn begin_fetch(&mut self, due: Option<Duration>) {
        self.fetched = due.and_then(|due| self.of(due));
        self.waits.retain(|wait| Some(*wait) != self.fetched);
    }

    /// Notes the end of a fetch.
    pub fn end_fetch(&mut self) {
        self.fetched = None;
    }
}

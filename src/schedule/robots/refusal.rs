//! Why a line cannot be fetched: its site's robots.txt disallows it, or could not be fetched (RFC 9309, section
//! 2.3.1.4). In the second case, lines wait as for an open circuit: one of them fetches the file again each cool-down,
//! and they fail once it was unavailable for too long.

use std::time::Duration;

use super::waits::RobotsWait;
use crate::item::ErrorKind;
use crate::schedule::HealthPolicy;

/// Why a line cannot be fetched now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Refusal {
    /// The line fails with this error.
    Settle(ErrorKind, String),
    /// robots.txt could not be fetched: the line waits.
    Wait(RobotsWait),
}

/// A robots.txt that is unavailable.
#[derive(Debug)]
pub(super) struct Unavailable {
    /// The end of the first failed attempt.
    pub since: Duration,
    /// When a line may fetch it again.
    pub retry_at: Duration,
    /// From when on lines fail until the next attempt.
    give_up_at: Duration,
    /// The error of the last attempt.
    pub why: String,
    /// How far it has gone.
    pub stage: Stage,
}

/// Whether lines failed because of an unavailable robots.txt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its lines wait.
    Waiting,
    /// The first has failed.
    GaveUp,
}

impl Unavailable {
    /// Unavailable since `since`, for this reason; the cool-down starts at `from`.
    pub fn new(since: Duration, why: String, policy: &HealthPolicy, from: Duration) -> Self {
        Self {
            since,
            retry_at: from + policy.cool_down,
            give_up_at: since + policy.give_up,
            why,
            stage: Stage::Waiting,
        }
    }

    /// Until when this is kept without lines: as long as an open circuit.
    pub fn kept_until(&self, policy: &HealthPolicy) -> Duration {
        self.retry_at + policy.give_up
    }

    /// Why a line of the site cannot be fetched now; `None` when it may fetch the robots.txt again.
    pub fn refusal(&self, site: &str, now: Duration) -> Option<Refusal> {
        if self.retry_at <= now {
            return None;
        }
        if now < self.give_up_at {
            let until = self.retry_at.min(self.give_up_at);
            return Some(Refusal::Wait(RobotsWait { until, fails_at: self.give_up_at }));
        }
        let (since, why) = (now.saturating_sub(self.since).as_secs(), &self.why);
        let message =
            format!("{site}/robots.txt could not be fetched for {since} s, so the site counts as disallowed: {why}");
        Some(Refusal::Settle(ErrorKind::RobotsUnavailable, message))
    }
}

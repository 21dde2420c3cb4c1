//! Why a line cannot be fetched: its site's robots.txt does not let it, or could not be fetched itself (RFC 9309, section
//! 2.3.1.4). Then lines wait as for an open circuit: one of them fetches the file again each cool-down, and they fail once it
//! was unavailable for too long.

use std::time::Duration;

use crate::item::ErrorKind;
use crate::schedule::HealthPolicy;

/// Why a line cannot be fetched now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Refusal {
    /// It may not be fetched.
    Settle(ErrorKind, String),
    /// The robots.txt could not be fetched: look again then.
    WaitUntil(Duration),
}

/// Since when a robots.txt is unavailable, and what follows.
#[derive(Debug)]
pub(super) struct Unavailable {
    /// The end of the first attempt in vain.
    pub since: Duration,
    /// When a line may fetch it again.
    pub retry_at: Duration,
    /// From when on lines fail until the next attempt.
    give_up_at: Duration,
    /// What the last attempt said.
    pub why: String,
}

impl Unavailable {
    /// It could not be fetched since then, for this reason; the cool-down counts from `from` on.
    pub fn new(since: Duration, why: String, policy: &HealthPolicy, from: Duration) -> Self {
        Self { since, retry_at: from + policy.cool_down, give_up_at: since + policy.give_up, why }
    }

    /// Until when this is remembered if no line asks; as long as an open circuit is.
    pub fn kept_until(&self, policy: &HealthPolicy) -> Duration {
        self.retry_at + policy.give_up
    }

    /// Why a line of the site cannot be fetched now; `None` when it may fetch the robots.txt again.
    pub fn refusal(&self, site: &str, now: Duration) -> Option<Refusal> {
        if self.retry_at <= now {
            return None;
        }
        if now < self.give_up_at {
            return Some(Refusal::WaitUntil(self.retry_at.min(self.give_up_at)));
        }
        let (since, why) = (now.saturating_sub(self.since).as_secs(), &self.why);
        let message = format!(
            "{site}/robots.txt could not be fetched for {since} s, and until it is the site counts as disallowed: {why}"
        );
        Some(Refusal::Settle(ErrorKind::RobotsUnavailable, message))
    }
}

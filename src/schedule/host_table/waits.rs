//! What the lines of a host wait for: the limit that holds each of them longest, and so when it may start.

use std::time::Duration;

use super::host::Host;
use super::lines::HELD;
use super::ports::OpenPort;
use crate::schedule::robots::RobotsWait;
use crate::schedule::wait_reason::WaitReason;

impl Host {
    /// The earliest time a line of this host may start; `None` while no line waits, or another event must come first.
    pub fn next_start(&self) -> Option<Duration> {
        self.next_wait()?.until()
    }

    /// What the host's next line waits for, or waited for last; `None` while no line waits.
    pub fn next_wait(&self) -> Option<WaitReason> {
        if self.may_hold_all()
            && self.waiting() > 0
            && let Some(wait) = self.wait_of_all()
        {
            return Some(wait);
        }
        match (self.queue.next_due(), self.queue.next_of_held()) {
            (due, Some((at, port))) if due.is_none_or(|due| at < due) => Some(self.wait_of_held(port, at)),
            (due, _) => due.map(|due| self.wait(due, None)),
        }
    }

    /// The same for the line of this ordinal to this port, which is due at this time, if it was dispatched before.
    pub fn wait_of(&self, ordinal: u64, port: u16, due: Option<Duration>) -> WaitReason {
        if let Some(wait) = self.wait_of_all() {
            return wait;
        }
        match self.queue.robots_fetch(port) {
            _ if due == Some(HELD) => self.wait_of_token_held(),
            Some(_) if !self.queue.fetches_robots(ordinal, port, due) => WaitReason::Robots { until: None },
            Some(_) => self.wait(due.unwrap_or_default(), self.queue.open_port(port)).of_robots_fetch(),
            None => self.wait(due.unwrap_or_default(), self.queue.open_port(port)),
        }
    }

    /// Whether an order or a token could hold all its lines: most hosts have neither.
    #[inline]
    fn may_hold_all(&self) -> bool {
        self.orders.is_some() || self.token.is_some()
    }

    /// The wait of all its lines for an operator, or for its token.
    fn wait_of_all(&self) -> Option<WaitReason> {
        self.orders.as_ref().and_then(|orders| orders.wait()).or_else(|| self.token_wait())
    }

    /// The wait of all its lines for its token.
    pub fn token_wait(&self) -> Option<WaitReason> {
        if self.lacks_token() {
            return Some(WaitReason::NoToken);
        }
        let until = self.token.as_ref()?.wait()?;
        Some(WaitReason::Token { until })
    }

    /// The wait of a line that is held for the token.
    pub fn wait_of_token_held(&self) -> WaitReason {
        match &self.token {
            Some(token) if token.is_spent() => WaitReason::NoToken,
            _ => WaitReason::Token { until: None },
        }
    }

    /// The same for the next line of a port that is held, which may start at `at` as far as the port is concerned.
    fn wait_of_held(&self, port: u16, at: Duration) -> WaitReason {
        match self.queue.open_port(port) {
            // Only the end of its robots.txt fetch, or of a probe, sets a time again.
            None if at == Duration::MAX => WaitReason::Robots { until: None },
            Some(OpenPort { probe_at: Some(_), .. }) if at == Duration::MAX => WaitReason::Robots { until: None },
            open if self.queue.robots_fetch(port).is_some() => self.wait(at, open).of_robots_fetch(),
            open => self.wait(at, open),
        }
    }

    /// The limit that holds a line that is due at `due` longest; `open` is the open circuit of its port, if any.
    fn wait(&self, due: Duration, open: Option<OpenPort>) -> WaitReason {
        if let Some(until) = self.quota.as_ref().and_then(|quota| quota.wait(self.in_flight)) {
            return WaitReason::Quota { until };
        }
        let (in_flight, limit) = (self.in_flight, self.concurrency());
        let probe_at = open.map_or(Some(Duration::ZERO), |open| open.probe_at);
        let Some(probe_at) = probe_at.filter(|_| in_flight < limit) else {
            return match open {
                Some(OpenPort { port, .. }) => WaitReason::CircuitOpen { port, probe_at: None },
                None => WaitReason::HostConcurrency { in_flight, limit },
            };
        };
        let (paced, paused) = (self.rate_limiter.next(), self.pause.until());
        let latest = due.max(paced).max(paused).max(probe_at);
        if let Some(OpenPort { port, .. }) = open.filter(|_| latest == probe_at) {
            return WaitReason::CircuitOpen { port, probe_at: Some(latest) };
        }
        match () {
            () if latest == due && self.robots_wait(due).is_some() => WaitReason::Robots { until: Some(latest) },
            () if latest == due => WaitReason::Backoff { until: latest },
            () if latest == paused => WaitReason::HostPause { until: latest },
            // The rate limiter ends last.
            () => self.rate_wait(),
        }
    }

    /// The wait for its rate, or for its Crawl-delay.
    pub fn rate_wait(&self) -> WaitReason {
        let until = self.rate_limiter.next();
        match self.rate_limiter.obeys_crawl_delay() {
            true => WaitReason::CrawlDelay { until },
            false => WaitReason::HostRate { until },
        }
    }

    /// When its lines fail, if they wait because a robots.txt is unavailable.
    pub fn robots_fails_at(&self) -> Option<Duration> {
        let of_due = match self.next_wait()? {
            WaitReason::Robots { until: Some(until) } => self.robots_wait(until),
            _ => None,
        };
        of_due.or_else(|| self.robots_fetched_again()).map(|wait| wait.fails_at)
    }

    /// The wait of its next lines, if a robots.txt that was unavailable is fetched again now, or next.
    pub fn robots_fetched_again(&self) -> Option<RobotsWait> {
        let waits = self.robots_waits.as_ref()?;
        waits.fetched().filter(|_| self.queue.awaits_robots()).or_else(|| waits.of(self.queue.next_due()?))
    }

    /// Whether this wait of its next line is for a robots.txt that is fetched again now, or next.
    pub fn fetches_robots_again(&self, wait: WaitReason) -> bool {
        let may_be = wait.is_of_pace() || matches!(wait, WaitReason::Robots { .. });
        may_be && self.robots_fetched_again().is_some()
    }

    /// The wait of lines that are due at this time, if they wait because a robots.txt is unavailable.
    pub fn robots_wait(&self, due: Duration) -> Option<RobotsWait> {
        self.robots_waits.as_ref()?.of(due)
    }
}

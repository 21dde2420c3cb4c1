//! The pause of one host: Retry-After (RFC 9110, section 10.2.3) on 429 and 503, and an exponential back-off on a 429
//! without one.

use std::time::Duration;

use super::RetryPolicy;
use crate::item::{Attempt, ErrorKind, Head};

/// The pause of one host.
#[derive(Debug, Default)]
pub(super) struct HostPause {
    /// No request before then.
    pub paused_until: Duration,
    /// The end of a pause that is longer than `retry.max_retry_after`.
    pub closed_until: Duration,
    /// 429s in a row, each to a request that was sent after the pause of the last one.
    refusals: u32,
}

impl HostPause {
    /// Applies the response to a request that was sent at `sent`; `chance` is for the jitter, uniform in 0..1.
    pub fn observe(&mut self, attempt: &Attempt, policy: &RetryPolicy, sent: Duration, chance: f64, now: Duration) {
        let Some(head) = attempt.head() else { return };
        match head.retry_after {
            Some(wait) if wait.0 > policy.max_retry_after => self.close(now.saturating_add(wait.0)),
            Some(wait) => self.pause(now.saturating_add(wait.0)),
            None if head.status.as_u16() == 429 => self.refused(policy, sent, chance, now),
            None if is_served(head) && sent >= self.paused_until => self.refusals = 0,
            None => {}
        }
    }

    /// Starts a back-off. Requests that were sent together are refused together, so only a request that was sent after
    /// the last pause makes the next one longer.
    fn refused(&mut self, policy: &RetryPolicy, sent: Duration, chance: f64, now: Duration) {
        if sent >= self.paused_until {
            self.refusals = self.refusals.saturating_add(1);
            self.pause(now + policy.backoff(self.refusals, chance));
        }
    }

    fn pause(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Closes the host until then.
    pub fn close(&mut self, until: Duration) {
        self.closed_until = self.closed_until.max(until);
    }

    /// Restores the pauses of the previous run.
    pub fn restore(&mut self, paused: Duration, closed: Duration, now: Duration) {
        self.pause(now.saturating_add(paused));
        self.close(now.saturating_add(closed));
    }

    /// The end of the longer pause.
    pub fn until(&self) -> Duration {
        self.paused_until.max(self.closed_until)
    }

    /// Until when a host without lines keeps its pauses.
    pub fn kept_until(&self, policy: &RetryPolicy) -> Duration {
        if self.refusals == 0 { Duration::ZERO } else { self.paused_until + policy.max_backoff }
    }
}

/// The error of a line whose host is closed for `pause`.
pub(super) fn too_long(pause: Duration) -> (ErrorKind, String) {
    let message =
        format!("the host takes no request for {} s, longer than retry.max_retry_after allows", pause.as_secs());
    (ErrorKind::RetryAfterTooLong, message)
}

/// Whether the response shows that the host takes requests again.
fn is_served(head: &Head) -> bool {
    !head.status.is_server_error()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Body, Response, RetryAfter};
    use crate::schedule::RetryConfig;
    use http::StatusCode;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn answered(status: u16, retry_after: Option<u64>) -> Attempt {
        Attempt::Response(Box::new(Response {
            head: Head {
                retry_after: retry_after.map(|ms| RetryAfter(at(ms))),
                ..Head::new(StatusCode::from_u16(status).unwrap())
            },
            body: Body::default(),
        }))
    }

    /// Half a second at first, without jitter.
    fn observe(pause: &mut HostPause, attempt: &Attempt, sent: u64, now: u64) -> Duration {
        let policy = RetryPolicy::from(&RetryConfig::default());
        pause.observe(attempt, &policy, at(sent), 1.0, at(now));
        pause.paused_until
    }

    #[test]
    fn the_pause_doubles_with_each_refusal_and_is_forgotten_after_success() {
        let (mut pause, refused) = (HostPause::default(), answered(429, None));
        assert_eq!(observe(&mut pause, &refused, 0, 100), at(600));
        assert_eq!(observe(&mut pause, &refused, 50, 200), at(600), "sent with the first one");
        assert_eq!(observe(&mut pause, &refused, 600, 1000), at(2000));
        assert_eq!(observe(&mut pause, &answered(200, None), 90, 1500), at(2000));
        assert_eq!(observe(&mut pause, &refused, 2000, 2000), at(4000), "that success was sent before the refusals");
        assert_eq!(observe(&mut pause, &answered(404, None), 4000, 5000), at(4000));
        assert_eq!(observe(&mut pause, &refused, 5000, 5000), at(5500), "as the first time");
    }

    #[test]
    fn the_pause_has_an_end() {
        let (mut pause, refused) = (HostPause::default(), answered(429, None));
        let mut now = 0;
        for _ in 0..40 {
            now = observe(&mut pause, &refused, now, now).as_millis() as u64;
        }
        assert_eq!(observe(&mut pause, &refused, now, now), at(now + 60_000));
    }

    #[test]
    fn a_retry_after_is_taken_as_it_is() {
        let mut pause = HostPause::default();
        assert_eq!(observe(&mut pause, &answered(503, Some(7000)), 0, 100), at(7100));
        assert_eq!(observe(&mut pause, &answered(429, Some(10)), 0, 200), at(7100), "the longer one holds");
        observe(&mut pause, &answered(429, Some(400_000)), 0, 300);
        assert_eq!((pause.paused_until, pause.closed_until), (at(7100), at(400_300)));
    }
}

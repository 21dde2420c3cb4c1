//! The quota of one host, as its responses report it: the requests left until the reset. In: the quota of a response
//! ([`Quota`]). Out: what the next request waits for.
//!
//! Responses come out of order, so the lowest number of a window counts. Each request on the wire may use up one that
//! no response has counted yet.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::item::Quota;

/// The maximum difference of reported times of one reset: they are in whole seconds, and transfer takes time.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Responses in a row without a quota, after which the host has none.
const MOST_SILENT: u32 = 3;

/// `hosts.quota`: whether fetchd obeys quotas in responses, and pauses longer than `retry.max_retry_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuotaPolicy {
    /// No request is sent that the quota would refuse. The run ends if only lines are left whose hosts pause longer
    /// than `retry.max_retry_after`; the next one finds them again.
    Obey,
    /// No request is sent that the quota would refuse, and the run goes on until the pauses are over.
    Wait,
    /// Quotas are ignored until a request is refused.
    Ignore,
}

/// What a run does when only lines of closed hosts are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongPause {
    /// It ends, and leaves them for the next start.
    End,
    /// It goes on until the hosts open again.
    Wait,
}

/// The known state of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostQuota {
    /// `remaining` requests are left until the reset; its times as first and as latest reported.
    Left { remaining: u64, first: Duration, resets_at: Duration },
    /// It was reset, and one request alone finds the new number. `silent` responses since then reported none.
    Unknown { silent: u32 },
}

impl HostQuota {
    /// Notes the quota of a response. Drops the quota if several responses in a row after a reset report none; the
    /// first may date from before the reset.
    pub fn observe(known: &mut Option<Box<Self>>, said: Option<Quota>, now: Duration) {
        match (known.as_deref_mut(), said) {
            (Some(known), Some(said)) => known.update(said, now),
            (None, Some(said)) => *known = Some(Box::new(Self::left(said, now))),
            (Some(Self::Unknown { silent }), None) if *silent < MOST_SILENT => *silent += 1,
            (Some(Self::Unknown { .. }), None) => *known = None,
            (Some(Self::Left { .. }) | None, None) => {}
        }
    }

    fn left(said: Quota, now: Duration) -> Self {
        let resets_at = now.saturating_add(said.reset);
        Self::Left { remaining: said.remaining, first: resets_at, resets_at }
    }

    fn update(&mut self, said: Quota, now: Duration) {
        let at = now.saturating_add(said.reset);
        match self {
            // A response that is older than this window does not count.
            Self::Left { first, .. } if at + TOLERANCE < *first => {}
            Self::Left { remaining, first, resets_at } if at <= *first + TOLERANCE => {
                (*remaining, *resets_at) = (said.remaining.min(*remaining), at.max(*resets_at));
            }
            Self::Left { .. } | Self::Unknown { .. } => *self = Self::left(said, now),
        }
    }

    /// Ends the window at its reset.
    pub fn advance(&mut self, now: Duration) {
        if self.ends_at().is_some_and(|at| at <= now) {
            *self = Self::Unknown { silent: 0 };
        }
    }

    /// What the next request waits for, with `in_flight` on the wire: a time, or the end of one of these.
    pub fn wait(&self, in_flight: u32) -> Option<Option<Duration>> {
        match self {
            Self::Left { remaining, .. } if *remaining > u64::from(in_flight) => None,
            Self::Left { .. } => Some(self.ends_at()),
            Self::Unknown { .. } => (in_flight > 0).then_some(None),
        }
    }

    /// The end of the window, if no request is left in it.
    pub fn used_up_until(&self) -> Option<Duration> {
        matches!(self, Self::Left { remaining: 0, .. }).then(|| self.ends_at())?
    }

    /// Until when a host without lines keeps it.
    pub fn kept_until(&self) -> Duration {
        self.ends_at().unwrap_or_default()
    }

    fn ends_at(&self) -> Option<Duration> {
        match self {
            Self::Left { resets_at, .. } => Some(resets_at.saturating_add(Quota::MARGIN)),
            Self::Unknown { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn observe(quota: &mut Option<Box<HostQuota>>, remaining: u64, reset: u64, now: u64) {
        HostQuota::observe(quota, Some(Quota { remaining, reset: at(reset) }), at(now));
    }

    #[test]
    fn the_lowest_number_of_a_window_counts_and_a_later_reset_is_a_new_one() {
        let mut quota = None;
        let left = |remaining, first, last| HostQuota::Left { remaining, first: at(first), resets_at: at(last) };
        observe(&mut quota, 5, 60, 0);
        observe(&mut quota, 7, 58, 1);
        assert_eq!(quota.as_deref(), Some(&left(5, 60, 60)), "out of order");
        observe(&mut quota, 0, 10, 2);
        assert_eq!(quota.as_deref(), Some(&left(5, 60, 60)), "of an old window");
        observe(&mut quota, 3, 60, 1);
        assert_eq!(quota.as_deref(), Some(&left(3, 60, 61)));
        assert_eq!(quota.as_deref().unwrap().wait(2), None);
        assert_eq!(quota.as_deref().unwrap().wait(3), Some(Some(at(62))));
        observe(&mut quota, 100, 60, 3);
        assert_eq!(quota.as_deref(), Some(&left(100, 63, 63)));
    }

    #[test]
    fn after_the_reset_one_request_finds_out_what_is_left() {
        let mut quota = None;
        observe(&mut quota, 0, 10, 0);
        let known = quota.as_deref_mut().unwrap();
        assert_eq!((known.used_up_until(), known.wait(0)), (Some(at(11)), Some(Some(at(11)))));
        known.advance(at(10));
        assert_eq!(known.wait(0), Some(Some(at(11))));
        known.advance(at(11));
        assert_eq!((known.used_up_until(), known.wait(0), known.wait(1)), (None, None, Some(None)));
        for _ in 0..=MOST_SILENT {
            assert_eq!(quota.as_deref().unwrap().wait(1), Some(None));
            HostQuota::observe(&mut quota, None, at(12));
        }
        assert_eq!(quota, None, "there is none any more");
    }
}

//! One host: its queue, its limits, and when the next of its lines may start.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::queue::HostQueue;
use super::trouble::Trouble;
use crate::item::{ErrorKind, Head};
use crate::schedule::RetryPolicy;
use crate::schedule::adaptive::AdaptiveLimit;
use crate::schedule::config::HostLimits;
use crate::schedule::host_orders::HostOrders;
use crate::schedule::host_pause::{HostPause, too_long};
use crate::schedule::host_state::StateEnd;
use crate::schedule::input_order::hash_of;
use crate::schedule::job::Job;
use crate::schedule::line_cost::LineCost;
use crate::schedule::pauses::Pauses;
use crate::schedule::quota::{HostQuota, QuotaPolicy};
use crate::schedule::rate_limiter::RateLimiter;
use crate::schedule::retry_budget::RetryBudget;
use crate::schedule::robots::RobotsWaits;
use crate::schedule::stall_clock::{Now, StallClock, StallReason};
use crate::schedule::token::HostToken;
use crate::schedule::waited::WaitHistory;
use crate::units::Concurrency;

/// A host with lines, or with a limit that outlasts them.
#[derive(Debug)]
pub(in crate::schedule) struct Host {
    pub name: Arc<str>,
    pub limits: HostLimits,
    pub queue: HostQueue,
    /// Requests on the wire.
    pub in_flight: u32,
    pub rate_limiter: RateLimiter,
    pub pause: HostPause,
    pub retries: RetryBudget,
    /// The quota in its responses, if any.
    pub quota: Option<Box<HostQuota>>,
    /// Its token, if it may be replaced.
    pub token: Option<Box<HostToken>>,
    /// The changes of operators, if any.
    pub orders: Option<Box<HostOrders>>,
    /// Its errors, if any.
    pub trouble: Option<Box<Trouble>>,
    /// The waits of its lines for a robots.txt that is unavailable, if there were any.
    pub robots_waits: Option<Box<RobotsWaits>>,
    /// The number of its configuration.
    pub configuration: u32,
    /// Its stall clock, if it ever stood still.
    stalls: Option<Box<StallClock>>,
    /// Its adaptive concurrency limit, if it has one.
    pub(super) adaptive: Option<Box<AdaptiveLimit>>,
    /// The average cost of its lines.
    pub cost: LineCost,
    /// Its pauses so far, if there were any.
    pub pauses: Option<Box<Pauses>>,
    /// Seconds on the wire that its lines take, as counted in the sum over all hosts.
    pub work: f32,
    pub arrivals: Arrivals,
    /// The shortest time to first byte.
    pub fastest: Option<Duration>,
    /// The wait reasons of its lines.
    pub waits: WaitHistory,
    /// The time of this host's timer, if it has one.
    pub(super) timer: Option<Duration>,
    /// Whether the host is in the ring of ready hosts.
    pub(super) in_ring: bool,
    /// From when on it may be evicted, if it is kept for longer.
    pub(super) evictable_at: Option<Duration>,
    /// The ends of its pause and open circuit, as noted in the table.
    pub(super) noted: StateEnd,
}

/// The lines of the input that came for a host while it was in the table.
#[derive(Clone, Copy, Debug)]
pub(in crate::schedule) struct Arrivals {
    /// The hash of its name.
    pub hash: u32,
    /// Their number.
    pub lines: u32,
    /// Lines of all hosts that came before it entered the table.
    pub before: u64,
}

impl Host {
    pub fn new(name: Arc<str>, limits: HostLimits, now: Duration) -> Self {
        let adaptive = Self::adaptive_limit(&limits);
        let arrivals = Arrivals { hash: hash_of(&name), lines: 0, before: 0 };
        Self {
            name,
            limits,
            queue: HostQueue::default(),
            in_flight: 0,
            rate_limiter: RateLimiter::new(limits.every),
            pause: HostPause::default(),
            retries: RetryBudget::default(),
            quota: None,
            token: None,
            orders: None,
            trouble: None,
            robots_waits: None,
            configuration: 0,
            stalls: None,
            adaptive,
            cost: LineCost::of_run(),
            pauses: None,
            work: 0.0,
            arrivals,
            fastest: None,
            waits: WaitHistory::new(now),
            timer: None,
            in_ring: false,
            evictable_at: None,
            noted: StateEnd::default(),
        }
    }

    /// A new adaptive limit, if these limits ask for one.
    pub(super) fn adaptive_limit(limits: &HostLimits) -> Option<Box<AdaptiveLimit>> {
        let most = (limits.concurrency == Concurrency::Adaptive).then_some(limits.max_concurrency)?;
        Some(Box::new(AdaptiveLimit::new(most)))
    }

    /// Both clocks of this host; those of the run are given.
    pub fn clocks(&self, run: Now) -> Now {
        Now { lines: self.stalls.as_ref().map_or(run.lines, |clock| clock.lines(run.lines)), ..run }
    }

    /// Whether its stall clock stands still.
    pub fn is_stalled(&self) -> bool {
        self.stalls.as_ref().is_some_and(|clock| clock.is_stalled())
    }

    /// Whether it ever did, or may because of a response.
    pub fn may_stall(&self) -> bool {
        self.stalls.is_some() || self.quota.is_some() || !self.pause.closed_until.is_zero()
    }

    /// Whether it does for this reason.
    pub fn is_stalled_by(&self, reason: StallReason) -> bool {
        self.stalls.as_ref().is_some_and(|clock| clock.reasons().any(|holds| holds == reason))
    }

    /// Its stall clock.
    pub fn stall_clock(&mut self) -> &mut StallClock {
        self.stalls.get_or_insert_default()
    }

    /// Applies the quota of a response. A reset that is too far away closes the host, like a Retry-After.
    pub fn observe_quota(&mut self, head: &Head, policy: &RetryPolicy, now: Duration) {
        if self.limits.quota == QuotaPolicy::Ignore {
            return;
        }
        HostQuota::observe(&mut self.quota, head.quota, now);
        let until = self.used_up_until();
        if until > now.saturating_add(policy.max_retry_after) {
            self.pause.close(until);
        }
    }

    /// The line that starts next.
    pub fn front(&self, now: Duration) -> Option<&Job> {
        self.queue.front(now)
    }

    /// Notes the start of one of its lines, whose site has this Crawl-delay.
    pub fn start(&mut self, ordinal: u64, url: &Url, crawl_delay: Duration, now: Duration) {
        self.rate_limiter.start(crawl_delay, now);
        self.queue.start(url, ordinal);
        self.in_flight += 1;
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.note_in_flight(self.in_flight);
        }
    }

    /// The number of its waiting lines.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether no line of it waits or is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.in_flight == 0 && !self.queue.awaits_robots()
    }

    /// Whether all its lines keep their places until there is a new token.
    pub fn lacks_token(&self) -> bool {
        self.waiting() > 0 && self.token.as_ref().is_some_and(|token| token.is_spent()) && !self.queue.has_others()
    }

    /// Whether its pause is longer than `retry.max_retry_after`.
    pub fn is_closed(&self, now: Duration) -> bool {
        self.pause.closed_until > now
    }

    /// The error of its lines, if it is closed.
    pub fn closed(&self, now: Duration) -> Option<(ErrorKind, String)> {
        self.is_closed(now).then(|| too_long(self.pause.closed_until - now))
    }
}

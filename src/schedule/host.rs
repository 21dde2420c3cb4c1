//! One host: its queues, its limits, and when the next of its lines may start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::adaptive::AdaptiveLimit;
use super::circuit_breaker::{CircuitBreaker, Now};
use super::decide::too_long;
use super::host_pause::HostPause;
use super::host_state::{End, HostState};
use super::rate_limiter::RateLimiter;
use super::retry_budget::RetryBudget;
use crate::item::{Job, Kind};
use crate::units::Concurrency;

/// What one host may be asked to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Requests on the wire at once.
    pub concurrency: Concurrency,
    /// The most of them, where their number is found out.
    pub max_concurrency: u32,
    /// From one start to the next; zero for no limit.
    pub every: Duration,
}

/// A host with lines, or with a limit that outlasts them.
#[derive(Debug)]
pub(super) struct Host {
    pub name: Arc<str>,
    pub limits: HostLimits,
    /// Lines that go for a robots.txt, by the time they are due, and ordinal; they go before all others.
    pub robots: BTreeMap<(Duration, u64), Box<Job>>,
    /// The line that fetches the robots.txt of an origin here; nothing but such lines starts until it is back.
    pub robots_fetch: Option<u64>,
    /// Lines that were not sent yet.
    pub fresh: VecDeque<Box<Job>>,
    /// Retries and hops by the time they are due, and ordinal; due ones go before fresh lines.
    pub again: BTreeMap<(Duration, u64), Box<Job>>,
    pub in_flight: u32,
    pub rate_limiter: RateLimiter,
    pub pause: HostPause,
    pub circuit_breaker: CircuitBreaker,
    pub retries: RetryBudget,
    /// Finds out how many requests at once do it good, if that is not given.
    adaptive: Option<Box<AdaptiveLimit>>,
    /// The shortest time to first byte.
    pub fastest: Option<Duration>,
    /// The time of this host's timer, if it has one.
    pub timer: Option<Duration>,
    /// Whether the host stands in the ring of ready hosts.
    pub in_ring: bool,
    /// From when on others may have its place, if it is remembered for longer.
    pub place_free_at: Option<Duration>,
    /// Until when it is in trouble, as the schedule has noted it.
    pub noted: End,
}

impl Host {
    pub fn new(name: Arc<str>, limits: HostLimits) -> Self {
        let adaptive = match limits.concurrency {
            Concurrency::Fixed(_) => None,
            Concurrency::Adaptive => Some(Box::new(AdaptiveLimit::new(limits.max_concurrency))),
        };
        Self {
            name,
            limits,
            robots: BTreeMap::new(),
            robots_fetch: None,
            fresh: VecDeque::new(),
            again: BTreeMap::new(),
            in_flight: 0,
            rate_limiter: RateLimiter::new(limits.every),
            pause: HostPause::default(),
            circuit_breaker: CircuitBreaker::default(),
            retries: RetryBudget::default(),
            adaptive,
            fastest: None,
            timer: None,
            in_ring: false,
            place_free_at: None,
            noted: End::default(),
        }
    }

    /// Requests on the wire at once, as of now.
    pub fn concurrency(&self) -> u32 {
        match (&self.adaptive, self.limits.concurrency) {
            (Some(adaptive), _) => adaptive.limit(),
            (None, Concurrency::Fixed(most)) => most,
            (None, Concurrency::Adaptive) => self.limits.max_concurrency,
        }
    }

    /// The limit that is found out, if it is not given.
    pub fn adaptive(&mut self) -> Option<&mut AdaptiveLimit> {
        self.adaptive.as_deref_mut()
    }

    /// The earliest time a line of this host may start; `None` while nothing waits, all its slots are taken, or a probe
    /// is under way.
    pub fn next_start(&self) -> Option<Duration> {
        if self.in_flight >= self.concurrency() {
            return None;
        }
        let errand = self.robots.first_key_value().map(|((at, _), _)| *at);
        let line = [errand, self.next_line()].into_iter().flatten().min()?;
        Some(line.max(self.rate_limiter.next()).max(self.pause.paused_until).max(self.circuit_breaker.next_start()?))
    }

    /// When the next line is due that is not a robots.txt request.
    fn next_line(&self) -> Option<Duration> {
        match (self.robots_fetch, self.fresh.is_empty()) {
            (Some(_), _) => None,
            (None, false) => Some(Duration::ZERO),
            (None, true) => self.again.first_key_value().map(|((at, _), _)| *at),
        }
    }

    /// The line that starts next.
    pub fn front(&self, now: Duration) -> Option<&Job> {
        let again = if self.robots_fetch.is_none() { due(&self.again, now) } else { None };
        let sent_before = due(&self.robots, now).or(again).map(|(_, job)| job);
        sent_before.or_else(|| self.fresh.front().filter(|_| self.robots_fetch.is_none()).map(|job| &**job))
    }

    /// Takes the line that starts next, with the time it was due if it was sent before.
    pub fn pop(&mut self, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        for queue in
            [&mut self.robots, &mut self.again].into_iter().take(if self.robots_fetch.is_some() { 1 } else { 2 })
        {
            if let Some((key, _)) = due(queue, now) {
                return queue.remove(&key).map(|job| (job, Some(key.0)));
            }
        }
        let job = if self.robots_fetch.is_none() { self.fresh.pop_front() } else { None };
        job.map(|job| (job, None))
    }

    /// Takes the line of this ordinal, wherever it stands, if it is due.
    pub fn pick(&mut self, ordinal: u64, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        if let Some(place) = self.fresh.iter().position(|job| job.ticket.ordinal == ordinal) {
            return self.fresh.remove(place).map(|job| (job, None));
        }
        let mut waiting = self.again.range(..=(now, u64::MAX)).chain(self.robots.range(..=(now, u64::MAX)));
        let (at, ordinal) = *waiting.find(|((_, its), _)| *its == ordinal)?.0;
        self.take_again(at, ordinal).map(|job| (job, Some(at)))
    }

    /// The line that must be back before this one may start: the one that went for the robots.txt of a site here. It is
    /// no obstacle to those that go for one themselves.
    pub fn waits_for(&self, ordinal: u64) -> Option<u64> {
        let goes_for_one = || self.robots.keys().any(|(_, its)| *its == ordinal);
        self.robots_fetch.filter(|robots_fetch| *robots_fetch != ordinal && !goes_for_one())
    }

    /// Takes a line that was sent before.
    pub fn take_again(&mut self, at: Duration, ordinal: u64) -> Option<Box<Job>> {
        self.again.remove(&(at, ordinal)).or_else(|| self.robots.remove(&(at, ordinal)))
    }

    /// When the next line that was sent before falls due that is not due yet.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let next =
            |queue: &BTreeMap<(Duration, u64), Box<Job>>| queue.range((now, u64::MAX)..).next().map(|(key, _)| key.0);
        [next(&self.again), next(&self.robots)].into_iter().flatten().min()
    }

    /// Lines that wait here.
    pub fn waiting(&self) -> usize {
        self.fresh.len() + self.again.len() + self.robots.len()
    }

    /// Whether nothing of it waits or is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.in_flight == 0 && self.robots_fetch.is_none()
    }

    /// Why its lines would wait in vain, if they would.
    pub fn hopeless(&self, settings: &Settings, now: Now) -> Option<(Kind, String)> {
        if self.pause.closed_until > now.time {
            return Some(too_long(self.pause.closed_until - now.time));
        }
        self.circuit_breaker.gave_up(&settings.health, now)
    }

    /// Until when it is in trouble.
    pub fn state_ends(&self, now: Duration) -> End {
        let circuit =
            if self.circuit_breaker.is_open() { self.circuit_breaker.remembered_until() } else { Duration::ZERO };
        End { pause: self.pause.until(), circuit }.as_of(now)
    }

    /// What the next run is to know of it.
    pub fn host_state(&self, settings: &Settings, now: Now) -> HostState {
        HostState {
            host: Arc::clone(&self.name),
            paused: self.pause.paused_until.saturating_sub(now.time),
            closed: self.pause.closed_until.saturating_sub(now.time),
            unreachable: self.circuit_breaker.unreachable(&settings.health, now),
        }
    }

    /// Goes on where a run before left off.
    pub fn recall(&mut self, known: HostState, settings: &Settings, now: Now) {
        self.pause.recall(known.paused, known.closed, now.time);
        if let Some(unreachable) = known.unreachable {
            self.circuit_breaker.recall(unreachable, &settings.health, now);
        }
    }

    /// Until when it must be remembered without lines: another request before then could come too early.
    pub fn kept_until(&self) -> Duration {
        self.rate_limiter.forget_at().max(self.pause.paused_until)
    }

    /// Until when it is worth remembering without lines.
    pub fn remembered_until(&self, settings: &Settings) -> Duration {
        let pause = self.pause.closed_until.max(self.pause.remembered_until(&settings.retry));
        let limit = self.adaptive.as_ref().map_or(Duration::ZERO, |adaptive| adaptive.remembered_until());
        pause.max(self.circuit_breaker.remembered_until()).max(limit).max(self.kept_until())
    }
}

/// The first line of a queue, if it is due.
fn due(queue: &BTreeMap<(Duration, u64), Box<Job>>, now: Duration) -> Option<((Duration, u64), &Job)> {
    queue.first_key_value().filter(|((at, _), _)| *at <= now).map(|(key, job)| (*key, &**job))
}

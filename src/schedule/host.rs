//! One host: its lines, its limits, and when the next of its lines may start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::adaptive::Adaptive;
use super::budget::Budget;
use super::circuit::{Circuit, Now};
use super::judge::too_long;
use super::pace::Pace;
use super::rest::Rest;
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
    /// Lines that were not sent yet.
    pub fresh: VecDeque<Box<Job>>,
    /// Retries and hops by the time they are due, and turn; due ones go before fresh lines.
    pub again: BTreeMap<(Duration, u64), Box<Job>>,
    pub in_flight: u32,
    pub pace: Pace,
    pub rest: Rest,
    pub circuit: Circuit,
    pub retries: Budget,
    /// Finds out how many requests at once do it good, if that is not given.
    adaptive: Option<Box<Adaptive>>,
    /// The shortest time to first byte.
    pub fastest: Option<Duration>,
    /// The time of this host's timer, if it has one.
    pub timer: Option<Duration>,
    /// Whether the host stands in the ring of ready hosts.
    pub in_ring: bool,
    /// From when on others may have its place, if it is remembered for longer.
    pub place_free_at: Option<Duration>,
}

impl Host {
    pub fn new(name: Arc<str>, limits: HostLimits) -> Self {
        let adaptive = match limits.concurrency {
            Concurrency::Fixed(_) => None,
            Concurrency::Adaptive => Some(Box::new(Adaptive::new(limits.max_concurrency))),
        };
        Self {
            name,
            limits,
            fresh: VecDeque::new(),
            again: BTreeMap::new(),
            in_flight: 0,
            pace: Pace::new(limits.every),
            rest: Rest::default(),
            circuit: Circuit::default(),
            retries: Budget::default(),
            adaptive,
            fastest: None,
            timer: None,
            in_ring: false,
            place_free_at: None,
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
    pub fn adaptive(&mut self) -> Option<&mut Adaptive> {
        self.adaptive.as_deref_mut()
    }

    /// The earliest time a line of this host may start; `None` while nothing waits, all its slots are taken, or a probe
    /// is under way.
    pub fn next_start(&self) -> Option<Duration> {
        if self.in_flight >= self.concurrency() {
            return None;
        }
        let line = if self.fresh.is_empty() { self.again.first_key_value()?.0.0 } else { Duration::ZERO };
        Some(line.max(self.pace.next()).max(self.rest.paused_until).max(self.circuit.next_start()?))
    }

    /// The line that starts next.
    pub fn front(&self, now: Duration) -> Option<&Job> {
        match self.again.first_key_value() {
            Some(((at, _), job)) if *at <= now => Some(job),
            _ => self.fresh.front().map(|job| &**job),
        }
    }

    /// Takes the line that starts next, with the time it was due if it was sent before.
    pub fn pop(&mut self, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        match self.again.first_entry() {
            Some(entry) if entry.key().0 <= now => {
                let at = entry.key().0;
                Some((entry.remove(), Some(at)))
            }
            _ => self.fresh.pop_front().map(|job| (job, None)),
        }
    }

    /// Takes the line of this turn, wherever it stands, if it is due.
    pub fn pick(&mut self, turn: u64, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        if let Some(place) = self.fresh.iter().position(|job| job.ticket.turn == turn) {
            return self.fresh.remove(place).map(|job| (job, None));
        }
        let key = *self.again.range(..=(now, u64::MAX)).find(|((_, its), _)| *its == turn)?.0;
        self.again.remove(&key).map(|job| (job, Some(key.0)))
    }

    /// When the next retry or hop falls due that is not due yet.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let ((at, _), _) = self.again.range((now, u64::MAX)..).next()?;
        Some(*at)
    }

    /// Lines that wait here.
    pub fn waiting(&self) -> usize {
        self.fresh.len() + self.again.len()
    }

    /// Why its lines would wait in vain, if they would.
    pub fn hopeless(&self, settings: &Settings, now: Now) -> Option<(Kind, String)> {
        if self.rest.closed_until > now.time {
            return Some(too_long(self.rest.closed_until - now.time));
        }
        self.circuit.gave_up(&settings.health, now)
    }

    /// Until when it must be remembered without lines: another request before then could come too early.
    pub fn kept_until(&self) -> Duration {
        self.pace.forget_at().max(self.rest.paused_until)
    }

    /// Until when it is worth remembering without lines.
    pub fn remembered_until(&self, settings: &Settings) -> Duration {
        let rest = self.rest.closed_until.max(self.rest.remembered_until(&settings.retry));
        rest.max(self.circuit.remembered_until(&settings.health)).max(self.kept_until())
    }
}

//! One host: its lines, its limits, and when the next of its lines may start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::pace::Pace;
use crate::item::Job;

/// What one host may be asked to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Requests on the wire at once.
    pub concurrency: u32,
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
    /// Retry-After holds until then.
    pub paused_until: Duration,
    /// A Retry-After that is too long to wait for holds until then.
    pub closed_until: Duration,
    /// The time of this host's timer, if it has one.
    pub timer: Option<Duration>,
    /// Whether the host stands in the ring of ready hosts.
    pub in_ring: bool,
}

impl Host {
    pub fn new(name: Arc<str>, limits: HostLimits) -> Self {
        Self {
            name,
            limits,
            fresh: VecDeque::new(),
            again: BTreeMap::new(),
            in_flight: 0,
            pace: Pace::new(limits.every),
            paused_until: Duration::ZERO,
            closed_until: Duration::ZERO,
            timer: None,
            in_ring: false,
        }
    }

    /// The earliest time a line of this host may start; `None` while nothing waits or all its slots are taken.
    pub fn next_start(&self) -> Option<Duration> {
        if self.in_flight >= self.limits.concurrency {
            return None;
        }
        let line = if self.fresh.is_empty() { self.again.first_key_value()?.0.0 } else { Duration::ZERO };
        Some(line.max(self.pace.next()).max(self.paused_until))
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

    /// Whether it is remembered for nothing but a rest that is too long to be waited for.
    pub fn is_merely_closed(&self) -> bool {
        self.waiting() == 0 && self.in_flight == 0 && self.closed_until == self.forget_at()
    }

    /// From when on nothing need be remembered of a host without lines.
    pub fn forget_at(&self) -> Duration {
        self.pace.forget_at().max(self.paused_until).max(self.closed_until)
    }
}

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
use super::trouble::{End, Trouble};
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
    /// Lines that go for a robots.txt, by the time they are due, and turn; they go before all others.
    pub robots: BTreeMap<(Duration, u64), Box<Job>>,
    /// The line that goes for the robots.txt of a site here; nothing but such lines starts until it is back.
    pub asking: Option<u64>,
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
    /// Until when it is in trouble, as the schedule has noted it.
    pub noted: End,
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
            robots: BTreeMap::new(),
            asking: None,
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
    pub fn adaptive(&mut self) -> Option<&mut Adaptive> {
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
        Some(line.max(self.pace.next()).max(self.rest.paused_until).max(self.circuit.next_start()?))
    }

    /// When the next line is due that is not on an errand.
    fn next_line(&self) -> Option<Duration> {
        match (self.asking, self.fresh.is_empty()) {
            (Some(_), _) => None,
            (None, false) => Some(Duration::ZERO),
            (None, true) => self.again.first_key_value().map(|((at, _), _)| *at),
        }
    }

    /// The line that starts next.
    pub fn front(&self, now: Duration) -> Option<&Job> {
        let again = if self.asking.is_none() { due(&self.again, now) } else { None };
        let sent_before = due(&self.robots, now).or(again).map(|(_, job)| job);
        sent_before.or_else(|| self.fresh.front().filter(|_| self.asking.is_none()).map(|job| &**job))
    }

    /// Takes the line that starts next, with the time it was due if it was sent before.
    pub fn pop(&mut self, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        for queue in [&mut self.robots, &mut self.again].into_iter().take(if self.asking.is_some() { 1 } else { 2 }) {
            if let Some((key, _)) = due(queue, now) {
                return queue.remove(&key).map(|job| (job, Some(key.0)));
            }
        }
        let job = if self.asking.is_none() { self.fresh.pop_front() } else { None };
        job.map(|job| (job, None))
    }

    /// Takes the line of this turn, wherever it stands, if it is due.
    pub fn pick(&mut self, turn: u64, now: Duration) -> Option<(Box<Job>, Option<Duration>)> {
        if let Some(place) = self.fresh.iter().position(|job| job.ticket.turn == turn) {
            return self.fresh.remove(place).map(|job| (job, None));
        }
        let mut waiting = self.again.range(..=(now, u64::MAX)).chain(self.robots.range(..=(now, u64::MAX)));
        let (at, turn) = *waiting.find(|((_, its), _)| *its == turn)?.0;
        self.take_again(at, turn).map(|job| (job, Some(at)))
    }

    /// The line that must be back before this one may start: the one that went for the robots.txt of a site here. It is
    /// no obstacle to those that go for one themselves.
    pub fn waits_for(&self, turn: u64) -> Option<u64> {
        let goes_for_one = || self.robots.keys().any(|(_, its)| *its == turn);
        self.asking.filter(|asking| *asking != turn && !goes_for_one())
    }

    /// Takes a line that was sent before.
    pub fn take_again(&mut self, at: Duration, turn: u64) -> Option<Box<Job>> {
        self.again.remove(&(at, turn)).or_else(|| self.robots.remove(&(at, turn)))
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
        self.waiting() == 0 && self.in_flight == 0 && self.asking.is_none()
    }

    /// Why its lines would wait in vain, if they would.
    pub fn hopeless(&self, settings: &Settings, now: Now) -> Option<(Kind, String)> {
        if self.rest.closed_until > now.time {
            return Some(too_long(self.rest.closed_until - now.time));
        }
        self.circuit.gave_up(&settings.health, now)
    }

    /// Until when it is in trouble.
    pub fn in_trouble_until(&self, now: Duration) -> End {
        let circuit = if self.circuit.is_open() { self.circuit.remembered_until() } else { Duration::ZERO };
        End { rest: self.rest.until(), circuit }.as_of(now)
    }

    /// What the next run is to know of it.
    pub fn trouble(&self, settings: &Settings, now: Now) -> Trouble {
        Trouble {
            host: Arc::clone(&self.name),
            paused: self.rest.paused_until.saturating_sub(now.time),
            closed: self.rest.closed_until.saturating_sub(now.time),
            unreachable: self.circuit.unreachable(&settings.health, now),
        }
    }

    /// Goes on where a run before left off.
    pub fn recall(&mut self, known: Trouble, settings: &Settings, now: Now) {
        self.rest.recall(known.paused, known.closed, now.time);
        if let Some(unreachable) = known.unreachable {
            self.circuit.recall(unreachable, &settings.health, now);
        }
    }

    /// Until when it must be remembered without lines: another request before then could come too early.
    pub fn kept_until(&self) -> Duration {
        self.pace.forget_at().max(self.rest.paused_until)
    }

    /// Until when it is worth remembering without lines.
    pub fn remembered_until(&self, settings: &Settings) -> Duration {
        let rest = self.rest.closed_until.max(self.rest.remembered_until(&settings.retry));
        let limit = self.adaptive.as_ref().map_or(Duration::ZERO, |adaptive| adaptive.remembered_until());
        rest.max(self.circuit.remembered_until()).max(limit).max(self.kept_until())
    }
}

/// The first line of a queue, if it is due.
fn due(queue: &BTreeMap<(Duration, u64), Box<Job>>, now: Duration) -> Option<((Duration, u64), &Job)> {
    queue.first_key_value().filter(|((at, _), _)| *at <= now).map(|(key, job)| (*key, &**job))
}

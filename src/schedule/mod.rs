//! The pure core of the schedule: a state machine over jobs, hosts and time, without tasks, channels or clocks.
//!
//! In: jobs ([`Core::push`]) and what happened to them ([`Core::complete`]). Out: the job that may start now
//! ([`Core::take`]) and settled lines ([`Core::take_settled`]). Time is a `Duration` since the start of the run, always
//! given by the caller; [`Core::next_wakeup`] says when to call again. The task that drives it is `pipeline::schedule`.
//!
//! Hosts with a line that may start now stand in a ring and take turns, so between two turns of a ready host no other
//! gets more than one. Hosts that must wait have one timer each.

mod adaptive;
mod bottleneck;
mod circuit_breaker;
mod config;
mod connection_budget;
mod decide;
mod health;
mod host;
mod host_pause;
mod host_state;
mod lines;
mod rate_limiter;
mod retry_budget;
mod robots;
mod table;
mod unsettled;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

pub use bottleneck::Bottleneck;
pub use config::{HostConfig, HostRule, LimitsConfig, RetryConfig, RetryPolicy, Settings};
pub use health::{HealthConfig, HealthPolicy};
pub use host::HostLimits;
pub use host_state::{HostState, OpenCircuit};
pub use rate_limiter::SLACK;
pub use retry_budget::RetryBudgetPolicy;
pub use robots::{RobotsConfig, RobotsPolicy};
pub use unsettled::OldestLine;

use crate::item::{Attempt, Done, Job};
use adaptive::AdaptiveLimit;
use circuit_breaker::Contact;
use connection_budget::{ConnectionBudget, Reuse};
use decide::{AttemptContext, canceled};
use host::Host;
use host_state::HostStates;
use lines::note_sent;
use rate_limiter::RateLimiter;
use retry_budget::RetryBudget;
use robots::RobotsRules;
use unsettled::Unsettled;

/// The state of the schedule.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    hosts: Slab<Host>,
    names: HashMap<Arc<str>, usize>,
    /// Hosts with a line that may start now, in the order of their turns.
    ring: VecDeque<usize>,
    timers: BTreeSet<(Duration, usize)>,
    /// Hosts without lines that may make room for others, from when on.
    forgettable: BTreeSet<(Duration, usize)>,
    /// Lines that were sent and wait again: `(end of their time, host, due, ordinal)`.
    deadlines: BTreeSet<(Duration, usize, Duration, u64)>,
    /// Lines of hosts for which the table has no room yet.
    untracked: VecDeque<Box<Job>>,
    settled: VecDeque<Done>,
    unsettled: Unsettled,
    rate_limiter: RateLimiter,
    retries: RetryBudget,
    /// Finds out how many requests at once do the whole run good, if that is not given.
    adaptive: Option<AdaptiveLimit>,
    connections: ConnectionBudget,
    /// What sites let robots fetch, if that is asked for.
    robots: Option<RobotsRules>,
    /// Hosts in trouble, for whoever remembers them.
    host_states: HostStates,
    /// Hosts whose lines may start again, as soon as the change under way is done.
    unblocked: Vec<usize>,
    chance: fastrand::Rng,
    in_flight: usize,
    waiting: usize,
    /// Lines taken in and not handed out by `take_settled`.
    lines: usize,
    given_up: bool,
    /// Until when this machine counts as short of open files or ports.
    starved_until: Duration,
    /// How long records could not be written, up to the stall under way.
    stalled: Duration,
    stalled_since: Option<Duration>,
}

/// What the next line needs before it can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Bytes of body memory.
    pub memory: u64,
}

/// How many lines are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting for their host: its turn, its limits, or the end of a back-off.
    pub waiting: usize,
    /// On the wire.
    pub in_flight: usize,
    /// Settled, and not yet handed out.
    pub outgoing: usize,
}

impl Core {
    /// An empty schedule.
    pub fn new(settings: Settings) -> Self {
        Self {
            rate_limiter: RateLimiter::new(settings.every),
            retries: RetryBudget::default(),
            adaptive: settings.adaptive.map(AdaptiveLimit::new),
            connections: ConnectionBudget::new(settings.idle_connections),
            robots: settings.robots.clone().map(RobotsRules::new),
            host_states: HostStates::default(),
            unblocked: Vec::new(),
            chance: fastrand::Rng::with_seed(settings.seed),
            settings,
            hosts: Slab::new(),
            names: HashMap::new(),
            ring: VecDeque::new(),
            timers: BTreeSet::new(),
            forgettable: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            untracked: VecDeque::new(),
            settled: VecDeque::new(),
            unsettled: Unsettled::default(),
            in_flight: 0,
            waiting: 0,
            lines: 0,
            given_up: false,
            starved_until: Duration::ZERO,
            stalled: Duration::ZERO,
            stalled_since: None,
        }
    }

    /// Takes in a line that is to be fetched. Lines come in the order of their ordinals.
    pub fn push(&mut self, job: Box<Job>, now: Duration) {
        self.lines += 1;
        if self.given_up {
            return self.settle(job, None, Some(canceled()), now);
        }
        self.waiting += 1;
        match self.host_of(&job.request, now) {
            Some(host) => self.enqueue(job, host, now),
            None => {
                self.unsettled.place(job.ticket.ordinal, usize::MAX);
                self.untracked.push_back(job);
            }
        }
    }

    /// Takes in a line that is settled already: the feed rejected it.
    pub fn push_settled(&mut self, done: Done) {
        self.lines += 1;
        self.settled.push_back(done);
    }

    /// What the line that may start now needs; `None` when none may. Asking changes nothing, but that lines are settled
    /// whose site does not want them to be fetched.
    pub fn peek(&mut self, now: Duration) -> Option<Need> {
        self.advance(now);
        let id = self.next_allowed(now)?;
        let line = self.hosts[id].front(now)?;
        Some(self.need_of(line, now))
    }

    /// Takes the line that may start now: from here on it is on the wire.
    pub fn take(&mut self, now: Duration) -> Option<Box<Job>> {
        self.peek(now)?;
        let id = self.ring.pop_front()?;
        self.hosts[id].in_ring = false;
        let (job, due) = self.hosts[id].pop(now)?;
        Some(self.start(job, due, now))
    }

    /// Judges an attempt that took `wire`.
    pub fn complete(&mut self, mut job: Box<Job>, attempt: Attempt, wire: Duration, now: Duration) {
        let id = job.host;
        self.in_flight -= 1;
        self.hosts[id].in_flight -= 1;
        let reuse = Reuse::after(&attempt);
        self.connections.end(job.connection, reuse, now);
        job.wire += wire;
        note_sent(&mut job, &attempt);
        let chance = self.chance.f64();
        let clocks = self.clocks(now);
        let host = &mut self.hosts[id];
        host.pause.observe(&attempt, &self.settings.retry, job.sent, chance, now);
        host.circuit_breaker.end(job.ticket.ordinal, Contact::of(&attempt), &self.settings.health, clocks);
        self.adapt(&job, &attempt, now);
        let context = AttemptContext {
            policy: &self.settings.retry,
            max_redirects: self.settings.max_redirects,
            now,
            overdue: self.lines_time(now) >= self.deadline_of(&job),
            wire,
            connect_timeout: self.settings.connect_timeout,
            chance,
        };
        let decision = context.decide(&job, &attempt);
        if self.given_up && (job.parked.is_some() || decision.continues()) {
            self.settle(job, attempt.into_response(), Some(canceled()), now);
        } else if job.parked.is_some() {
            self.complete_robots(job, attempt, decision, now);
        } else {
            self.carry_out(job, attempt, decision, now);
        }
        self.refresh(id, now);
    }

    /// A settled line.
    pub fn take_settled(&mut self) -> Option<Done> {
        let done = self.settled.pop_front()?;
        self.lines -= 1;
        Some(done)
    }

    /// The earliest time after `now` at which something changes by itself, for a driver that took at this very `now` what
    /// it could. What is due and could not be taken for want of a permit is no reason to be woken again.
    pub fn next_wakeup(&mut self, now: Duration) -> Option<Duration> {
        self.advance(now);
        // A ring that is held back by anything but the rate is set going by a completion, not by time.
        let paced = self.next_host(now).map(|_| self.rate_limiter.next()).filter(|at| *at > now);
        let timer = self.timers.first().map(|(at, _)| *at);
        let left = |(end, ..): &(Duration, usize, Duration, u64)| end.saturating_sub(self.lines_time(now));
        let deadline = self.deadlines.first().filter(|_| self.stalled_since.is_none()).map(|key| now + left(key));
        let place = self.forgettable.first().filter(|_| !self.untracked.is_empty()).map(|(kept, _)| *kept);
        [timer, deadline, paced, place].into_iter().flatten().min()
    }

    /// Records cannot be written for now: lines that wait do not lose their time to it. Said again, it changes nothing.
    pub fn stall(&mut self, now: Duration) {
        self.stalled_since.get_or_insert(now);
    }

    /// Records can be written.
    pub fn resume(&mut self, now: Duration) {
        if let Some(since) = self.stalled_since.take() {
            self.stalled += now.saturating_sub(since);
        }
    }

    /// Settles every line that waits as `canceled`, and every further one as it comes.
    pub fn give_up(&mut self, now: Duration) {
        self.given_up = true;
        for job in std::mem::take(&mut self.untracked) {
            self.waiting -= 1;
            self.settle(job, None, Some(canceled()), now);
        }
        for id in self.ring.drain(..) {
            self.hosts[id].in_ring = false;
        }
        let ids: Vec<usize> = self.hosts.iter().map(|(id, _)| id).collect();
        for id in &ids {
            self.settle_host(*id, &canceled(), now);
        }
        for id in ids {
            self.refresh(id, now);
        }
    }

    /// How many lines are where. Their sum is the number of lines taken in and not handed out (promise 1).
    pub fn counts(&self) -> Counts {
        let counts = Counts { waiting: self.waiting, in_flight: self.in_flight, outgoing: self.settled.len() };
        assert_eq!(self.lines, counts.waiting + counts.in_flight + counts.outgoing, "a line is lost in the schedule");
        counts
    }

    /// Whether settled lines wait to be handed out.
    pub fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    /// Whether every line is settled as `canceled` from here on.
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Hosts in the table.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }
}

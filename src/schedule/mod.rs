//! The pure core of the schedule: a state machine over jobs, hosts and time, without tasks, channels or clocks.
//!
//! In: jobs ([`Core::push`]) and what happened to them ([`Core::verdict`]). Out: the job that may start now
//! ([`Core::take`]) and settled lines ([`Core::take_settled`]). Time is a `Duration` since the start of the run, always
//! given by the caller; [`Core::next_wakeup`] says when to call again. The task that drives it is `pipeline::schedule`.
//!
//! Hosts with a line that may start now stand in a ring and take turns, so between two turns of a ready host no other
//! gets more than one. Hosts that must wait have one timer each.

mod config;
mod host;
mod idle;
mod judge;
mod limit;
mod pace;
mod turns;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

pub use config::{HostConfig, HostRule, LimitsConfig, RetryConfig, RetryPolicy, Settings};
pub use host::HostLimits;
pub use idle::POOL_IDLE_TIMEOUT;
pub use limit::Limit;
pub use pace::SLACK;

use crate::hosts::{host_name, port_of};
use crate::item::{Answer, Attempt, CHUNK, Done, Home, Hop, Job, Kind, Next, Request, Sent};
use host::Host;
use idle::{Alive, Idle};
use judge::{Bench, Charge, Judgement, canceled, is_idempotent, too_long};
use pace::Pace;
use turns::Turns;

/// The state of the schedule.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    hosts: Slab<Host>,
    names: HashMap<Arc<str>, usize>,
    /// Hosts with a line that may start now, in the order of their turns.
    ring: VecDeque<usize>,
    timers: BTreeSet<(Duration, usize)>,
    /// Lines that were sent and wait again: `(end of their time, host, due, turn)`.
    deadlines: BTreeSet<(Duration, usize, Duration, u64)>,
    /// Lines of hosts for which the table has no room yet.
    untracked: VecDeque<Box<Job>>,
    settled: VecDeque<Done>,
    turns: Turns,
    pace: Pace,
    idle: Idle,
    chance: fastrand::Rng,
    in_flight: usize,
    waiting: usize,
    /// Lines taken in and not handed out by `take_settled`.
    lines: usize,
    given_up: bool,
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

/// The host that the oldest unsettled line is at, and what goes on there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Its name.
    pub host: Arc<str>,
    /// Lines that wait there.
    pub waiting: usize,
    /// Requests on the wire.
    pub in_flight: u32,
}

impl Core {
    /// An empty schedule.
    pub fn new(settings: Settings) -> Self {
        Self {
            pace: Pace::new(settings.every),
            idle: Idle::new(settings.idle_connections),
            chance: fastrand::Rng::with_seed(settings.seed),
            settings,
            hosts: Slab::new(),
            names: HashMap::new(),
            ring: VecDeque::new(),
            timers: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            untracked: VecDeque::new(),
            settled: VecDeque::new(),
            turns: Turns::default(),
            in_flight: 0,
            waiting: 0,
            lines: 0,
            given_up: false,
        }
    }

    /// Takes in a line that is to be fetched. Lines come in the order of their turns.
    pub fn push(&mut self, job: Box<Job>, now: Duration) {
        self.lines += 1;
        if self.given_up {
            return self.settle(job, None, Some(canceled()), now);
        }
        self.waiting += 1;
        match self.host_of(&job.request) {
            Some(host) => self.enqueue(job, host, now),
            None => {
                self.turns.place(job.ticket.turn, usize::MAX);
                self.untracked.push_back(job);
            }
        }
    }

    /// Takes in a line that is settled already: the feed rejected it.
    pub fn push_settled(&mut self, done: Done) {
        self.lines += 1;
        self.settled.push_back(done);
    }

    /// What the line that may start now needs; `None` when none may. Asking changes nothing that could be seen.
    pub fn peek(&mut self, now: Duration) -> Option<Need> {
        self.advance(now);
        if self.pace.next() > now {
            return None;
        }
        while let Some(id) = self.ring.front().copied() {
            let host = &self.hosts[id];
            match host.front(now) {
                Some(job) if host.next_start().is_some_and(|at| at <= now) => return Some(self.need_of(job)),
                _ => {
                    self.ring.pop_front();
                    self.hosts[id].in_ring = false;
                    self.refresh(id, now);
                }
            }
        }
        None
    }

    /// Takes the line that may start now: from here on it is on the wire.
    pub fn take(&mut self, now: Duration) -> Option<Box<Job>> {
        self.peek(now)?;
        let id = self.ring.pop_front()?;
        self.hosts[id].in_ring = false;
        self.start(id, now)
    }

    /// Takes the oldest unsettled line if it waits and may start now, out of its host's turn: for when memory is short
    /// and everything else may have to wait for this line.
    pub fn take_oldest(&mut self, now: Duration) -> Option<Box<Job>> {
        self.advance(now);
        let (turn, id) = self.turns.oldest()?;
        let host = self.hosts.get(id)?;
        let ready = self.pace.next() <= now && host.next_start().is_some_and(|at| at <= now);
        if !ready || host.front(now)?.ticket.turn != turn {
            return None;
        }
        self.start(id, now)
    }

    /// Judges an attempt that took `wire`.
    pub fn verdict(&mut self, mut job: Box<Job>, attempt: Attempt, wire: Duration, now: Duration) {
        let id = job.host;
        self.in_flight -= 1;
        self.hosts[id].in_flight -= 1;
        let alive = if matches!(attempt, Attempt::Answer(_)) { Alive::Perhaps } else { Alive::No };
        self.idle.end(&job.request.url, job.connection, alive, now);
        job.wire += wire;
        note_sent(&mut job, &attempt);
        self.obey_retry_after(id, &attempt, now);
        let bench = Bench {
            policy: &self.settings.retry,
            max_redirects: self.settings.max_redirects,
            now,
            deadline: self.deadline_of(&job),
            chance: self.chance.f64(),
        };
        let judgement = match bench.judge(&job, &attempt) {
            Judgement::Retry { .. } | Judgement::Reserve(_) | Judgement::Follow(..) if self.given_up => {
                Judgement::Settle(Some(canceled()))
            }
            judgement => judgement,
        };
        self.carry_out(job, attempt, judgement, now);
        self.refresh(id, now);
    }

    /// The earliest time after `now` at which something changes by itself.
    pub fn next_wakeup(&self, now: Duration) -> Option<Duration> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let deadline = self.deadlines.first().map(|(at, ..)| *at);
        // A ring that is held back by anything but the rate is set going by a verdict, not by time.
        let paced = (!self.ring.is_empty()).then(|| self.pace.next()).filter(|at| *at > now);
        [timer, deadline, paced].into_iter().flatten().min()
    }

    /// A settled line.
    pub fn take_settled(&mut self) -> Option<Done> {
        let done = self.settled.pop_front()?;
        self.lines -= 1;
        Some(done)
    }

    /// Settles every line that waits as `canceled`, and every further one as it comes.
    pub fn give_up(&mut self, now: Duration) {
        self.given_up = true;
        for job in std::mem::take(&mut self.untracked) {
            self.waiting -= 1;
            self.settle(job, None, Some(canceled()), now);
        }
        let ids: Vec<usize> = self.hosts.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.settle_host(id, &canceled(), now);
            self.refresh(id, now);
        }
    }

    /// How many lines are where. Their sum is the number of lines taken in and not handed out (promise 1).
    pub fn counts(&self) -> Counts {
        let counts = Counts { waiting: self.waiting, in_flight: self.in_flight, outgoing: self.settled.len() };
        assert_eq!(self.lines, counts.waiting + counts.in_flight + counts.outgoing, "a line is lost in the schedule");
        counts
    }

    /// The host that the oldest unsettled line is at.
    pub fn oldest(&self) -> Option<Oldest> {
        let (_, id) = self.turns.oldest()?;
        let host = self.hosts.get(id)?;
        Some(Oldest { host: Arc::clone(&host.name), waiting: host.waiting(), in_flight: host.in_flight })
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

    /// Fires the timers that are due.
    fn advance(&mut self, now: Duration) {
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            self.hosts[id].timer = None;
            self.refresh(id, now);
        }
        while let Some((end, id, at, turn)) = self.deadlines.first().copied().filter(|(end, ..)| *end <= now) {
            self.deadlines.remove(&(end, id, at, turn));
            let Some(job) = self.hosts[id].again.remove(&(at, turn)) else { continue };
            self.waiting -= 1;
            let why = match &job.last_error {
                Some((_, message)) => {
                    format!("the line's deadline passed while it waited for another attempt: {message}")
                }
                None => "the line's deadline passed while it waited for its host".to_owned(),
            };
            self.settle(job, None, Some((Kind::Deadline, why)), now);
            self.refresh(id, now);
        }
    }

    /// The host's number in the table; `None` when the table is full and the host is not in it.
    fn host_of(&mut self, request: &Request) -> Option<usize> {
        let (name, port) = (host_name(&request.url), port_of(&request.url));
        let with_port;
        let key = if self.settings.hosts.names_port(name, port) {
            with_port = format!("{name}:{port}");
            &with_port
        } else {
            name
        };
        if let Some(id) = self.names.get(key) {
            return Some(*id);
        }
        if self.hosts.len() >= self.settings.max_hosts {
            return None;
        }
        let limits = self.settings.limits_of(name, port);
        let key: Arc<str> = key.into();
        let id = self.hosts.insert(Host::new(Arc::clone(&key), limits));
        self.names.insert(key, id);
        Some(id)
    }

    /// Puts a line that was not sent yet at the end of its host's queue.
    fn enqueue(&mut self, mut job: Box<Job>, id: usize, now: Duration) {
        job.host = id;
        self.turns.place(job.ticket.turn, id);
        self.hosts[id].fresh.push_back(job);
        self.refresh(id, now);
    }

    /// Puts a line back that was sent, or was about to be: it goes before fresh lines once it is due.
    fn requeue(&mut self, mut job: Box<Job>, id: usize, at: Duration, now: Duration) {
        job.host = id;
        self.waiting += 1;
        self.turns.place(job.ticket.turn, id);
        let turn = job.ticket.turn;
        self.deadlines.insert((self.deadline_of(&job), id, at, turn));
        self.hosts[id].again.insert((at, turn), job);
        self.refresh(id, now);
    }

    /// Brings the ring, the timers and the table in line with the host's state.
    fn refresh(&mut self, id: usize, now: Duration) {
        let closed_until = self.hosts[id].closed_until;
        if closed_until > now && self.hosts[id].waiting() > 0 {
            self.settle_host(id, &too_long(closed_until - now), now);
        }
        let host = &mut self.hosts[id];
        let idle = host.waiting() == 0 && host.in_flight == 0;
        let wake_at = if idle { Some(host.forget_at()) } else { host.next_start() };
        if let Some(at) = host.timer.take() {
            self.timers.remove(&(at, id));
        }
        match wake_at {
            Some(at) if at > now => {
                host.timer = Some(at);
                self.timers.insert((at, id));
            }
            Some(_) if idle && !host.in_ring => self.forget(id, now),
            Some(_) if !idle && !host.in_ring => {
                host.in_ring = true;
                self.ring.push_back(id);
            }
            _ => {}
        }
    }

    /// Drops a host of which nothing need be remembered, and lets a waiting one in.
    fn forget(&mut self, id: usize, now: Duration) {
        let host = self.hosts.remove(id);
        self.names.remove(&host.name);
        while let Some(job) = self.untracked.pop_front() {
            match self.host_of(&job.request) {
                Some(id) => self.enqueue(job, id, now),
                None => return self.untracked.push_front(job),
            }
        }
    }

    /// Moves the host's next line onto the wire.
    fn start(&mut self, id: usize, now: Duration) -> Option<Box<Job>> {
        let host = &mut self.hosts[id];
        let sent_before = host.again.first_key_value().map(|((at, turn), _)| (*at, *turn)).filter(|(at, _)| *at <= now);
        let mut job = host.pop(now)?;
        host.in_flight += 1;
        host.pace.start(now);
        self.pace.start(now);
        self.waiting -= 1;
        self.in_flight += 1;
        if let Some((at, turn)) = sent_before {
            self.deadlines.remove(&(self.deadline_of(&job), id, at, turn));
        }
        job.started.get_or_insert(now);
        job.time_limit = self.settings.timeout.min(self.deadline_of(&job).saturating_sub(now));
        job.connection = self.idle.start(&job.request.url, now);
        self.refresh(id, now);
        Some(job)
    }

    fn carry_out(&mut self, mut job: Box<Job>, attempt: Attempt, judgement: Judgement, now: Duration) {
        let id = job.host;
        match judgement {
            Judgement::Settle(error) => {
                let answer = match attempt {
                    Attempt::Answer(answer) => Some(answer),
                    _ => None,
                };
                self.settle(job, answer, error, now);
            }
            Judgement::Retry { at, charge, because } => {
                job.retries += u32::from(charge == Charge::One);
                job.next = Next::Attempt;
                job.last_error = Some(because);
                let at = at.max(self.hosts[id].paused_until);
                if at >= self.deadline_of(&job) {
                    // The host's pause is longer than the line's time.
                    let because = job.last_error.take();
                    return self.settle(job, None, because, now);
                }
                self.requeue(job, id, at, now);
            }
            Judgement::Reserve(need) => {
                job.reserve = Some(need);
                self.requeue(job, id, now, now);
            }
            Judgement::Follow(hop, request, home) => self.follow(job, hop, *request, home, now),
            Judgement::Refuse(hop, error) => {
                job.hops.push(hop);
                self.settle(job, None, Some(error), now);
            }
        }
    }

    /// Sends the line where its redirect leads, through that host's limits.
    fn follow(&mut self, mut job: Box<Job>, hop: Hop, request: Request, home: Home, now: Duration) {
        job.hops.push(hop);
        job.next = Next::Hop;
        job.home = home;
        job.reserve = None;
        let from = std::mem::replace(&mut job.request, request);
        job.first_url.get_or_insert(from.url);
        // Redirects always find room: there are never more of them than lines in the window.
        let room = std::mem::replace(&mut self.settings.max_hosts, usize::MAX);
        let host = self.host_of(&job.request);
        self.settings.max_hosts = room;
        if let Some(id) = host {
            self.requeue(job, id, now, now);
        }
    }

    fn settle(&mut self, job: Box<Job>, answer: Option<Box<Answer>>, error: Option<(Kind, String)>, now: Duration) {
        self.turns.settle(job.ticket.turn);
        self.settled.push_back(job.settle(answer, error, now));
    }

    /// Settles every line that waits at this host.
    fn settle_host(&mut self, id: usize, error: &(Kind, String), now: Duration) {
        let host = &mut self.hosts[id];
        let again = std::mem::take(&mut host.again);
        let fresh = std::mem::take(&mut host.fresh);
        for ((at, turn), job) in &again {
            self.deadlines.remove(&(self.deadline_of(job), id, *at, *turn));
        }
        for job in again.into_values().chain(fresh) {
            self.waiting -= 1;
            self.settle(job, None, Some(error.clone()), now);
        }
    }

    /// A Retry-After of one answer holds for the whole host.
    fn obey_retry_after(&mut self, id: usize, attempt: &Attempt, now: Duration) {
        let Attempt::Answer(answer) = attempt else { return };
        let Some(wait) = answer.retry_after else { return };
        let host = &mut self.hosts[id];
        let until = now.saturating_add(wait.0);
        if wait.0 > self.settings.retry.max_retry_after {
            host.closed_until = host.closed_until.max(until);
        } else {
            host.paused_until = host.paused_until.max(until);
        }
    }

    fn deadline_of(&self, job: &Job) -> Duration {
        job.started.map_or(Duration::MAX, |started| started.saturating_add(self.settings.deadline))
    }

    fn need_of(&self, job: &Job) -> Need {
        let full_at_start = !is_idempotent(&job.request.method);
        let usual = if full_at_start { self.settings.largest_body.max(CHUNK) } else { CHUNK };
        Need { memory: job.reserve.unwrap_or(usual) }
    }
}

/// Counts the request, if one was sent.
fn note_sent(job: &mut Job, attempt: &Attempt) {
    let sent = match attempt {
        Attempt::Answer(_) => true,
        Attempt::Failed(failure) => !matches!(failure.sent, Sent::Refused | Sent::Starved),
        Attempt::Canceled => true,
        Attempt::NoMemory { .. } => false,
    };
    if sent && job.next == Next::Attempt {
        job.attempts += 1;
    }
}

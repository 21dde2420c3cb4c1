//! The ports of one host that could not be reached recently, or whose robots.txt is being fetched. A port is held while
//! its circuit is open, or its robots.txt is being fetched: its lines wait here, and those of other ports go on.
//!
//! In: results of requests to each port, and lines of held ports. Out: which of these may start, and the lines of a
//! port that is free again.

mod operated;

use std::collections::BTreeMap;
use std::time::Duration;

use super::lines::{Lines, Spot};
use super::timers::Timers;
use crate::schedule::HealthPolicy;
use crate::schedule::circuit_breaker::{CircuitBreaker, CircuitSwitch, Contact, GaveUp};
use crate::schedule::host_state::OpenCircuit;
use crate::schedule::job::Job;
use crate::schedule::line_book::LineId;
use crate::schedule::stall_clock::Now;

/// The most open circuits of one host that are stored.
const MOST_STORED: usize = 16;

/// The number of ports from which on outdated ones are removed.
const FIRST_SWEEP: usize = 16;

/// A port whose circuit is open.
#[derive(Clone, Copy, Debug)]
pub(in crate::schedule) struct OpenPort {
    pub port: u16,
    /// When the next line may probe it; `None` while a probe is under way.
    pub probe_at: Option<Duration>,
}

/// The ports of one host that have a state.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<u16, Box<Port>>,
    /// Held ports with lines, by when the next of these may start: `Duration::MAX` if only after another event.
    starts: Timers<u16>,
    /// Ports with lines that wait for a circuit, by when they give up, on the clock of lines.
    give_ups: Timers<u16>,
    /// Lines of all held ports.
    waiting: usize,
    /// Ports whose robots.txt is being fetched.
    robots_fetches: usize,
    /// Until when a host without lines keeps the failures of all ports.
    kept_until: Duration,
    /// The same of ports whose circuit is open.
    open_until: Duration,
    /// The number of ports at the next sweep, [`FIRST_SWEEP`] at least.
    sweep_at: usize,
}

/// The state of one port.
#[derive(Debug, Default)]
struct Port {
    circuit: CircuitBreaker,
    /// The line that fetches its robots.txt; only such lines start until it ends.
    robots_fetch: Option<LineId>,
    /// Its lines, while it is held.
    lines: Lines,
    /// Its time in `starts`.
    start_at: Option<Duration>,
    /// Its time in `give_ups`.
    gives_up_at: Option<Duration>,
}

impl Port {
    fn is_held(&self) -> bool {
        self.circuit.is_open() || self.robots_fetch.is_some()
    }

    /// When its next line is due, apart from its circuit.
    fn next_due(&self) -> Option<Duration> {
        match self.robots_fetch {
            Some(_) => self.lines.next_robots_due(),
            None => self.lines.next_due(),
        }
    }

    /// When its next line may start, if it has any.
    fn next_start(&self) -> Option<Duration> {
        let start = self.next_due().and_then(|due| Some(due.max(self.circuit.next_start()?)));
        (self.lines.len() > 0).then_some(start.unwrap_or(Duration::MAX))
    }

    /// The line that starts next.
    fn next(&self, now: Duration) -> Option<Spot> {
        match (self.robots_fetch, self.circuit.failed_last()) {
            (Some(_), _) => self.lines.next_robots(now),
            (None, Some(failed_last)) => self.lines.next_probe(failed_last, now),
            (None, None) => self.lines.next(now),
        }
    }

    /// Whether its state is outdated.
    fn is_over(&self, now: Duration) -> bool {
        let is_idle = self.lines.len() == 0 && self.robots_fetch.is_none() && self.circuit.next_start().is_some();
        is_idle && self.circuit.kept_until() <= now
    }
}

impl Ports {
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    pub fn is_held(&self, port: u16) -> bool {
        self.ports.get(&port).is_some_and(|port| port.is_held())
    }

    /// Lines of all held ports.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The lines of all held ports.
    pub fn lines(&self) -> impl Iterator<Item = &Lines> {
        self.ports.values().map(|port| &port.lines)
    }

    /// The held port whose next line may start first, and when.
    pub fn next_start(&self) -> Option<(Duration, u16)> {
        self.starts.first()
    }

    /// The port of the line that may start now, and its place there.
    pub fn next(&self, now: Duration) -> Option<(u16, Spot)> {
        let port = self.starts.due(now)?;
        Some((port, self.ports.get(&port)?.next(now)?))
    }

    /// When the next line that is not due yet is due.
    pub fn next_due_after(&self, now: Duration) -> Option<Duration> {
        let ready = self.starts.all_due(now).filter_map(|port| self.ports.get(&port));
        let due = ready.filter_map(|port| port.lines.next_due_after(now)).min();
        let start = self.starts.after(now).filter(|at| *at < Duration::MAX);
        [due, start].into_iter().flatten().min()
    }

    pub fn get(&self, port: u16, spot: Spot) -> Option<&Job> {
        self.ports.get(&port)?.lines.get(spot)
    }

    pub fn insert(&mut self, port: u16, job: Box<Job>, due: Option<Duration>) {
        self.change(port, |port| port.lines.insert(job, due));
    }

    pub fn take(&mut self, port: u16, spot: Spot) -> Option<Box<Job>> {
        self.change(port, |port| port.lines.take(spot))
    }

    /// Takes the line of this ordinal, if it waits here.
    pub fn take_line(&mut self, port: u16, ordinal: u64, due: Option<Duration>) -> Option<Box<Job>> {
        self.is_held(port).then(|| self.change(port, |port| port.lines.take_line(ordinal, due)))?
    }

    pub fn take_any(&mut self, port: u16) -> Option<Box<Job>> {
        self.is_held(port).then(|| self.change(port, |port| port.lines.take_any()))?
    }

    pub fn robots_fetch(&self, port: u16) -> Option<LineId> {
        self.ports.get(&port)?.robots_fetch
    }

    pub fn awaits_robots(&self) -> bool {
        self.robots_fetches > 0
    }

    pub fn set_robots_fetch(&mut self, port: u16, line: Option<LineId>) {
        self.change(port, |port| port.robots_fetch = line);
    }

    pub fn fetches_robots(&self, port: u16, ordinal: u64, due: Option<Duration>) -> bool {
        self.ports.get(&port).is_some_and(|port| port.lines.fetches_robots(ordinal, due))
    }

    /// Notes that a line starts.
    pub fn start(&mut self, port: u16, ordinal: u64) {
        if self.is_held(port) {
            self.change(port, |port| port.circuit.start(ordinal));
        }
    }

    /// Notes the result of a request; returns the change if that opened or closed the circuit of its port.
    pub fn end(
        &mut self,
        port: u16,
        ordinal: u64,
        contact: Contact<'_>,
        policy: &HealthPolicy,
        now: Now,
    ) -> Option<CircuitSwitch> {
        let failed = matches!(contact, Contact::Failed(..));
        if failed && self.ports.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.sweep(now.time);
        }
        let is_known = failed || self.ports.contains_key(&port);
        is_known.then(|| self.change(port, |port| port.circuit.end(ordinal, contact, policy, now)))?
    }

    /// The circuit of this port, if it is open.
    pub fn open_port(&self, port: u16) -> Option<OpenPort> {
        let circuit = self.ports.get(&port).map(|port| &port.circuit).filter(|circuit| circuit.is_open())?;
        Some(OpenPort { port, probe_at: circuit.next_start() })
    }

    /// When the lines of some port give up, on the clock of lines.
    pub fn gives_up_at(&self) -> Option<Duration> {
        self.give_ups.first().map(|(at, _)| at)
    }

    /// When the lines of the last port give up, on the clock of lines.
    pub fn last_gives_up_at(&self) -> Option<Duration> {
        self.give_ups.last().map(|(at, _)| at)
    }

    /// When the last of the lines give up, on the clock of lines, if the circuits of all their ports are open.
    pub fn all_give_up_at(&self) -> Option<Duration> {
        let waiting = self.ports.values().filter(|port| port.lines.len() > 0);
        waiting.map(|port| port.circuit.gives_up_at()).try_fold(Duration::ZERO, |last, at| Some(last.max(at?)))
    }

    /// A port whose lines waited too long, and their error. One that may be probed now is checked again after a change.
    pub fn gave_up(&mut self, now: Now) -> Option<GaveUp> {
        loop {
            let number = self.give_ups.due(now.lines)?;
            let port = self.ports.get_mut(&number)?;
            let may_probe = port.start_at.is_some_and(|at| at <= now.time);
            if let Some(error) = port.circuit.gave_up(number, now).filter(|_| !may_probe) {
                return Some(GaveUp { port: number, error, turn: port.circuit.give_up() });
            }
            self.give_ups.set(number, &mut port.gives_up_at, None);
        }
    }

    pub fn kept_until(&self) -> Duration {
        self.kept_until
    }

    pub fn open_until(&self) -> Duration {
        self.open_until
    }

    /// Its open circuits for the next run.
    pub fn unreachable(&self, policy: &HealthPolicy, now: Now) -> Vec<OpenCircuit> {
        let known = self.ports.iter().filter(|(_, port)| port.circuit.kept_until() > now.time);
        let open = known.filter_map(|(number, port)| port.circuit.unreachable(*number, policy, now));
        open.take(MOST_STORED).collect()
    }

    /// Restores a circuit of the previous run.
    pub fn restore(&mut self, known: OpenCircuit, policy: &HealthPolicy, now: Now) -> Option<CircuitSwitch> {
        self.change(known.port, |port| port.circuit.restore(known, policy, now))
    }

    /// The lines of a port that is not held any more. Removes a port without failures.
    pub fn free(&mut self, number: u16) -> Option<Lines> {
        let port = self.ports.get(&number).filter(|port| !port.is_held())?;
        let is_unknown = port.circuit.kept_until().is_zero();
        let lines = self.change(number, |port| std::mem::take(&mut port.lines));
        if is_unknown {
            self.ports.remove(&number);
            let circuits = || self.ports.values().map(|port| &port.circuit);
            self.kept_until = circuits().map(CircuitBreaker::kept_until).max().unwrap_or_default();
            let open = circuits().filter(|circuit| circuit.is_open());
            self.open_until = open.map(CircuitBreaker::kept_until).max().unwrap_or_default();
        }
        Some(lines)
    }

    /// Changes a port, and updates all indexes over the ports.
    fn change<R>(&mut self, number: u16, change: impl FnOnce(&mut Port) -> R) -> R {
        let port = self.ports.entry(number).or_default();
        self.waiting -= port.lines.len();
        self.robots_fetches -= usize::from(port.robots_fetch.is_some());
        let result = change(port);
        self.waiting += port.lines.len();
        self.robots_fetches += usize::from(port.robots_fetch.is_some());
        let (start, has_lines) = (port.next_start(), port.lines.len() > 0);
        self.starts.set(number, &mut port.start_at, start);
        let gives_up = port.circuit.gives_up_at().filter(|_| has_lines);
        self.give_ups.set(number, &mut port.gives_up_at, gives_up);
        self.kept_until = self.kept_until.max(port.circuit.kept_until());
        if port.circuit.is_open() {
            self.open_until = self.open_until.max(port.circuit.kept_until());
        }
        result
    }

    /// Removes outdated ports. The next sweep is at twice as many as are left.
    fn sweep(&mut self, now: Duration) {
        self.ports.retain(|_, port| !port.is_over(now));
        self.sweep_at = 2 * self.ports.len();
    }
}

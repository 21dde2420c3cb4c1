//! The queue of one host: the lines of all its ports in one order, except held ports. A line of a held port moves to
//! its port when it comes to the front, so that it holds up no others, and back when the port is free again: each line
//! moves once for each time that its port is held.

use std::time::Duration;

use url::Url;

use super::lines::{AheadCount, Lines, Spot};
use super::ports::Ports;
use crate::hosts::port_of;
use crate::schedule::HealthPolicy;
use crate::schedule::circuit_breaker::{CircuitSwitch, Contact};
use crate::schedule::job::Job;
use crate::schedule::line_book::LineId;
use crate::schedule::stall_clock::Now;

/// Which line to take out of a queue.
#[derive(Clone, Copy, Debug)]
pub(in crate::schedule) enum Pick {
    /// The one that starts next.
    Next(Duration),
    /// The one of this ordinal, which is due at this time, if it was dispatched before.
    Line { ordinal: u64, port: u16, due: Option<Duration> },
    /// One of this port, which is held.
    OfPort(u16),
    /// One with an ordinal below this, whether it is due or not.
    Below(u64),
}

/// The lines that wait at one host.
#[derive(Debug, Default)]
pub(in crate::schedule) struct HostQueue {
    /// The first of each kind is never one of a port that is held.
    pub(super) lines: Lines,
    /// Ports that could not be reached recently, or whose robots.txt is being fetched: usually none.
    pub(super) ports: Option<Box<Ports>>,
    turn: Turn,
}

/// Whether a line of a held port or another starts next if both may, so that probes of many dead ports leave room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    HeldPort,
    Lines,
}

impl HostQueue {
    /// The number of waiting lines.
    pub fn len(&self) -> usize {
        self.lines.len() + self.ports.as_ref().map_or(0, |ports| ports.waiting())
    }

    /// Adds a line; `due` is when it may start, if it was dispatched before.
    pub(super) fn insert(&mut self, job: Box<Job>, due: Option<Duration>) {
        self.lines.insert(job, due);
        self.hold_firsts();
    }

    /// The lines that were dispatched before.
    pub fn dispatched(&self) -> Vec<LineId> {
        self.all().flat_map(Lines::dispatched).collect()
    }

    /// Whether there are more than `lines` of these.
    pub fn has_more_dispatched_than(&self, lines: usize) -> bool {
        self.all().map(Lines::dispatched_len).sum::<usize>() > lines
    }

    /// The lines that are held for the host's token.
    pub fn held(&self) -> Vec<LineId> {
        self.all().flat_map(Lines::held).collect()
    }

    /// Whether there are lines that are not held.
    pub fn has_others(&self) -> bool {
        self.all().any(Lines::has_others)
    }

    /// All lines.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.all().flat_map(Lines::jobs)
    }

    /// The lines outside held ports, and those of each held port.
    fn all(&self) -> impl Iterator<Item = &Lines> {
        let held = self.ports.iter().flat_map(|ports| ports.lines());
        std::iter::once(&self.lines).chain(held)
    }

    /// When the next line outside held ports is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.lines.next_due()
    }

    /// The held port whose next line may start first, and when.
    pub fn next_of_held(&self) -> Option<(Duration, u16)> {
        self.ports.as_ref()?.next_start()
    }

    /// When the next line of a held port is due, apart from its circuit; `None` while it waits for a robots.txt.
    pub fn due_of_held(&self, port: u16) -> Option<Duration> {
        self.ports.as_ref()?.due(port)
    }

    /// The number of lines that start before this one; `None` if the count has to go on in another turn.
    pub fn ahead(
        &self,
        ordinal: u64,
        port: u16,
        due: Option<Duration>,
        now: Duration,
        count: &mut AheadCount,
    ) -> Option<usize> {
        let held = self.ports.as_ref().and_then(|ports| ports.lines_with(port, ordinal, due));
        held.unwrap_or(&self.lines).ahead(ordinal, due, now, count)
    }

    /// The line that starts next.
    pub fn front(&self, now: Duration) -> Option<&Job> {
        match self.next(now)? {
            (None, spot) => self.lines.get(spot),
            (Some(port), spot) => self.ports.as_ref()?.get(port, spot),
        }
    }

    /// The place of the line that starts next, and its port if that is held.
    fn next(&self, now: Duration) -> Option<(Option<u16>, Spot)> {
        let line = self.lines.next(now).map(|spot| (None, spot));
        let held = self.ports.as_ref().and_then(|ports| ports.next(now)).map(|(port, spot)| (Some(port), spot));
        match self.turn {
            Turn::HeldPort => held.or(line),
            Turn::Lines => line.or(held),
        }
    }

    /// Takes a line out.
    pub(super) fn take(&mut self, pick: Pick) -> Option<Box<Job>> {
        let job = match (pick, &mut self.ports) {
            (Pick::Next(now), None) => self.lines.next(now).and_then(|spot| self.lines.take(spot)),
            (Pick::Next(now), Some(_)) => self.take_next(now),
            (Pick::Line { ordinal, due, .. }, None) => self.lines.take_line(ordinal, due),
            (Pick::Line { ordinal, port, due }, Some(ports)) => {
                ports.take_line(port, ordinal, due).or_else(|| self.lines.take_line(ordinal, due))
            }
            (Pick::Below(ordinal), ports) => {
                let line = self.lines.take_below(ordinal);
                line.or_else(|| ports.as_mut()?.take_below(ordinal))
            }
            (Pick::OfPort(port), ports) => ports.as_mut().and_then(|ports| ports.take_any(port)),
        };
        self.hold_firsts();
        job
    }

    fn take_next(&mut self, now: Duration) -> Option<Box<Job>> {
        let (port, spot) = self.next(now)?;
        self.turn = if port.is_some() { Turn::Lines } else { Turn::HeldPort };
        match port {
            None => self.lines.take(spot),
            Some(port) => self.ports.as_mut()?.take(port, spot),
        }
    }

    /// When the next line that is not due yet is due.
    pub fn next_due_after(&self, now: Duration) -> Option<Duration> {
        let held = self.ports.as_ref().and_then(|ports| ports.next_due_after(now));
        [self.lines.next_due_after(now), held].into_iter().flatten().min()
    }

    /// The line that fetches the robots.txt of an origin at this port; no other line of the port starts until it ends.
    pub fn robots_fetch(&self, port: u16) -> Option<LineId> {
        self.ports.as_ref()?.robots_fetch(port)
    }

    /// Whether a robots.txt of any port is being fetched.
    pub fn awaits_robots(&self) -> bool {
        self.ports.as_ref().is_some_and(|ports| ports.awaits_robots())
    }

    pub(super) fn set_robots_fetch(&mut self, port: u16, line: Option<LineId>) {
        self.ports.get_or_insert_default().set_robots_fetch(port, line);
        self.follow(port);
    }

    /// Whether a line that waits here and is due at this time fetches a robots.txt.
    pub fn fetches_robots(&self, ordinal: u64, port: u16, due: Option<Duration>) -> bool {
        let held = || self.ports.as_ref().is_some_and(|ports| ports.fetches_robots(port, ordinal, due));
        self.lines.fetches_robots(ordinal, due) || held()
    }

    /// Lets one line that was not sent yet go first after a second refusal: the host may only refuse the refused line.
    pub fn let_fresh_line_pass(&mut self) {
        self.lines.let_fresh_line_pass();
    }

    /// Notes that a line starts at the port of this URL.
    pub fn start(&mut self, url: &Url, ordinal: u64) {
        if let Some(ports) = &mut self.ports {
            ports.start(port_of(url), ordinal);
        }
    }

    /// Notes the result of a request to the port of this URL; returns the change if that opened or closed its circuit.
    pub fn end(
        &mut self,
        url: &Url,
        ordinal: u64,
        contact: Contact<'_>,
        policy: &HealthPolicy,
        now: Now,
    ) -> Option<CircuitSwitch> {
        let may_be_first = matches!(contact, Contact::Failed(..)) && policy.failures > 0;
        if !may_be_first && self.ports.is_none() {
            return None;
        }
        let port = port_of(url);
        let switch = self.ports.get_or_insert_default().end(port, ordinal, contact, policy, now);
        self.follow(port);
        switch
    }

    /// Updates the queue after a change of this port.
    pub(super) fn follow(&mut self, port: u16) {
        let Some(ports) = &mut self.ports else { return };
        if let Some(lines) = ports.free(port) {
            self.lines.prepend(lines);
        }
        if ports.is_empty() {
            self.ports = None;
        }
        self.hold_firsts();
    }

    /// Moves lines of held ports from the front to their ports.
    fn hold_firsts(&mut self) {
        let Some(ports) = &mut self.ports else { return };
        let held = |(spot, job): (Spot, &Job)| Some((spot, port_of(&job.call.request.url)));
        loop {
            let first = self.lines.firsts().filter_map(held).find(|(_, port)| ports.is_held(*port));
            let Some((spot, port)) = first else { return };
            let Some(job) = self.lines.take(spot) else { return };
            ports.insert(port, job, spot.due());
        }
    }
}

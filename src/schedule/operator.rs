//! The overrides of operators: pauses of the run and of hosts, limits, and skipped hosts. The core is given a complete
//! set, compares it with the one before, and lets overrides expire by itself. Each host in the table has its own part,
//! and gets it when it enters.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::adaptive::AdaptiveLimit;
use super::backlog::awaits_operator;
use super::config::HostLimits;
use super::decide::canceled;
use super::host_clock::Holds;
use super::host_key::name_and_port;
use super::host_orders::HostOrders;
use super::host_table::Host;
use super::line_book::{HostId, LineId, Place};
use super::overrides::{HostOverrides, Overrides};
use super::reports::HeldLines;
use super::skips::Skips;
use super::stall_clock::StallReason;
use super::stop::Phase;
use super::wait_reason::WaitReason;
use crate::item::Received;
use crate::units::Concurrency;

/// The overrides of operators.
#[derive(Debug)]
pub(super) struct Operator {
    overrides: Arc<Overrides>,
    /// When the first of them ends.
    next_end: Duration,
    pub skips: Skips,
}

impl Default for Operator {
    fn default() -> Self {
        Self { overrides: Arc::default(), next_end: Duration::MAX, skips: Skips::default() }
    }
}

impl Core {
    /// The overrides in force.
    pub fn overrides(&self) -> Arc<Overrides> {
        Arc::clone(&self.operator.overrides)
    }

    /// The overrides of the run.
    pub(super) fn run_orders(&self) -> &HostOverrides {
        &self.operator.overrides.all
    }

    /// Replaces all overrides; also before the first line.
    pub fn set_overrides(&mut self, overrides: &Overrides, now: Duration) {
        let new = overrides.at(now);
        self.operator.next_end = new.next_end().unwrap_or(Duration::MAX);
        let old = std::mem::replace(&mut self.operator.overrides, Arc::new(new));
        let new = &self.operator.overrides;
        let names: BTreeSet<&Arc<str>> = old.hosts.keys().chain(new.hosts.keys()).collect();
        let changed = names.into_iter().filter(|name| old.hosts.get(*name) != new.hosts.get(*name));
        let changed: Vec<Arc<str>> = changed.cloned().collect();
        self.follow_run(&old.all, now);
        for name in changed {
            let limits = |overrides: &Overrides| overrides.hosts.get(&name).map(|host| (host.rate, host.concurrency));
            if limits(&old).unwrap_or_default() != limits(&self.operator.overrides).unwrap_or_default() {
                self.enter_as_asked(&name, now);
            }
            for id in self.hosts_of(&name) {
                self.obey(id, now);
                self.refresh(id, now);
            }
        }
        self.cancel_paused(now);
    }

    /// When the first override ends by itself.
    pub(super) fn next_override_end(&self) -> Option<Duration> {
        Some(self.operator.next_end).filter(|at| *at < Duration::MAX)
    }

    /// Ends overrides whose time is over.
    #[inline(always)]
    pub(super) fn expire_overrides(&mut self, now: Duration) {
        if self.operator.next_end <= now {
            self.set_overrides(&self.overrides(), now);
        }
    }

    /// Whether an operator has paused the run.
    pub fn is_run_paused(&self) -> bool {
        self.operator.overrides.all.pause.is_some()
    }

    /// Whether an operator's pause holds this host, or the run.
    pub(super) fn is_paused(&self, id: HostId) -> bool {
        self.is_run_paused() || self.hosts[id].is_stalled_by(StallReason::Paused)
    }

    /// Whether the run is stopping, and paused until an operator resumes it: a stop does not wait for that.
    pub(super) fn is_stopping_paused(&self) -> bool {
        self.phase == Phase::Stopping && self.run_orders().pause.is_some_and(|pause| pause.until.is_none())
    }

    /// Whether an operator has paused the host of this name.
    pub fn is_host_paused(&self, name: &str) -> bool {
        self.operator.overrides.holding_for(name).pause.is_some()
    }

    /// Until when an operator's pause holds this host, or the run, if one does; [`Duration::MAX`] until it is resumed.
    pub(super) fn paused_until(&self, id: HostId) -> Duration {
        let of_host = self.hosts[id].orders.as_ref().and_then(|orders| orders.overrides.pause);
        let pauses = [self.operator.overrides.all.pause, of_host].into_iter().flatten();
        pauses.map(|pause| pause.until.unwrap_or(Duration::MAX)).max().unwrap_or_default()
    }

    /// The pause of the run, as the wait of all lines.
    pub(super) fn run_pause(&self) -> WaitReason {
        WaitReason::RunPaused { until: self.operator.overrides.all.pause.and_then(|pause| pause.until) }
    }

    /// The lines of paused hosts, if there are any.
    pub fn paused_lines(&self) -> Option<HeldLines> {
        HeldLines::of(self.paused_hosts())
    }

    /// Whether lines wait until an operator resumes them.
    pub(super) fn awaits_operator(&self) -> bool {
        let of_run = self.run_orders().pause.is_some_and(|pause| pause.until.is_none());
        of_run || self.paused_hosts().any(|host| awaits_operator(host.next_wait()))
    }

    /// The paused hosts with waiting lines.
    pub(super) fn paused_hosts(&self) -> impl Iterator<Item = &Host> + Clone {
        let named = self.operator.overrides.hosts.iter().filter(|(_, host)| host.pause.is_some());
        named.flat_map(|(name, _)| self.hosts_of(name)).map(|id| &self.hosts[id]).filter(|host| host.waiting() > 0)
    }

    /// The hosts of the table with overrides of this name: that of the name, and those with a port in a pattern.
    pub(super) fn hosts_of(&self, name: &str) -> Vec<HostId> {
        let ports = self.settings.hosts.ports_of(name).filter_map(|port| self.hosts.find(&format!("{name}:{port}")));
        self.hosts.find(name).into_iter().chain(ports).collect()
    }

    /// Applies the overrides of operators to a host, which then has to be reindexed.
    pub(super) fn obey(&mut self, id: HostId, now: Duration) {
        let orders = self.operator.overrides.holding_for(&self.hosts[id].name);
        let host = &mut self.hosts[id];
        let skipped_below = host.orders.as_ref().and_then(|orders| orders.skipped_below);
        let skips = orders.skip.is_some();
        let holds = if orders.pause.is_some() { Holds::Yes } else { Holds::No };
        let is_needed = !orders.is_empty() || skipped_below.is_some();
        host.orders = is_needed.then(|| Box::new(HostOrders { overrides: orders, skipped_below }));
        if (holds == Holds::Yes) != host.is_stalled_by(StallReason::Paused) {
            self.stall_host(id, StallReason::Paused, holds, now);
        }
        self.limit_host(id);
        if skips {
            self.begin_skip(id);
        }
    }

    /// A host that is not in the table may have got a request just now. If its limits change, it enters the table as if
    /// it had, if there is room.
    fn enter_as_asked(&mut self, name: &str, now: Duration) {
        if self.hosts.find(name).is_none()
            && let Some(id) = self.host_called(name, now)
        {
            self.hosts[id].rate_limiter.note_earlier(now);
        }
    }

    /// Applies overrides to a host that enters the table.
    #[inline(always)]
    pub(super) fn obey_at_entry(&mut self, id: HostId, now: Duration) {
        let overrides = &self.operator.overrides;
        if !overrides.hosts.is_empty() && !overrides.holding_for(&self.hosts[id].name).is_empty() {
            self.obey(id, now);
        }
    }

    /// The limits of the configuration for a host of this name, with the port if a pattern has it.
    pub(super) fn limits_when_entered(&self, name: &str) -> HostLimits {
        let (name, port) = name_and_port(name);
        self.settings.limits_of(name, port)
    }

    /// Sets the limits of a host to those of the configuration and of operators.
    pub(super) fn limit_host(&mut self, id: HostId) {
        let mut limits = self.limits_when_entered(&self.hosts[id].name);
        let host = &mut self.hosts[id];
        if let Some(orders) = &host.orders {
            let HostOverrides { rate, concurrency, .. } = &orders.overrides;
            limits.every = rate.map_or(limits.every, |of_operator| of_operator.rate.every());
            limits.concurrency =
                concurrency.map_or(limits.concurrency, |of_operator| Concurrency::Fixed(of_operator.limit));
        }
        if host.limits != limits {
            host.set_limits(limits);
        }
    }

    /// Applies the overrides of the run; `old` are those before.
    fn follow_run(&mut self, old: &HostOverrides, now: Duration) {
        let new = self.operator.overrides.all.clone();
        if old.pause.is_some() != new.pause.is_some() {
            match new.pause {
                Some(_) => self.stall(StallReason::Paused, now),
                None => self.resume(StallReason::Paused, now),
            }
        }
        if (old.rate, old.concurrency) != (new.rate, new.concurrency) {
            self.limit_run();
        }
    }

    /// Sets the limits of the run to those of the configuration and of operators.
    pub(super) fn limit_run(&mut self) {
        let HostOverrides { rate, concurrency, .. } = self.operator.overrides.all;
        self.rate_limiter.set_interval(rate.map_or(self.settings.every, |of_operator| of_operator.rate.every()));
        match (concurrency.map(|of_operator| of_operator.limit), self.settings.adaptive) {
            (None, Some(most)) => {
                self.at_most = None;
                match &mut self.adaptive {
                    Some(adaptive) => adaptive.set_most(most),
                    None => self.adaptive = Some(AdaptiveLimit::new(most)),
                }
            }
            (fixed, _) => {
                self.adaptive = None;
                self.at_most = Some(fixed.unwrap_or(self.settings.permits));
            }
        }
    }

    /// The most requests at once, as of now.
    pub fn most_at_once(&self) -> u32 {
        let adaptive = self.adaptive.as_ref().map(AdaptiveLimit::limit);
        adaptive.or(self.at_most).unwrap_or(self.settings.permits)
    }

    /// The number of lines that a stop would cancel because an operator holds them, in `places` places of the book.
    pub fn held_by_operator(&self, from: usize, places: usize) -> usize {
        let lines = (from..self.lines.places().min(from + places)).filter(|line| self.lines.has(*line));
        lines.filter(|line| self.waits_for_operator(*line) && !self.is_durable(self.lines.source(*line))).count()
    }

    /// The number of places of the book.
    pub fn line_places(&self) -> usize {
        self.lines.places()
    }

    /// Whether an operator holds a waiting line.
    fn waits_for_operator(&self, line: LineId) -> bool {
        match self.lines.place_of(line) {
            Place::Untracked => self.is_run_paused(),
            Place::Waiting { host, .. } => self.is_paused(host),
            Place::OnWire { .. } => false,
        }
    }

    /// Whether a line waits until an operator resumes its host or the run.
    fn waits_for_resume(&self, line: LineId) -> bool {
        match self.lines.place_of(line) {
            Place::Untracked => self.is_stopping_paused(),
            Place::Waiting { host, .. } => self.paused_until(host) == Duration::MAX,
            Place::OnWire { .. } => false,
        }
    }

    /// Cancels lines that wait until an operator resumes them. A stop only waits for pauses that end by themselves, as
    /// for a Retry-After.
    pub(super) fn cancel_paused(&mut self, now: Duration) {
        if self.phase != Phase::Stopping {
            return;
        }
        let lines = self.lines.newest_first().filter(|line| self.waits_for_resume(*line)).collect();
        self.withdraw(lines, |core, job| core.settle(job, Received::Nothing, Some(canceled()), now), now);
    }
}

impl Host {
    /// Whether new lines are skipped.
    pub fn skips(&self) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.overrides.skip.is_some())
    }
}

//! What holds the run back right now, said by the name of the limit that would change it.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::units::Concurrency;

/// What holds the run back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Nothing waits: the input is the limit.
    Input,
    /// Nothing waits, and no input is to come: the servers' own time is the limit.
    Servers,
    /// `limits.concurrency`
    Concurrency,
    /// What an adaptive `limits.concurrency` has come to.
    Adaptive,
    /// This machine has no open files or ports left.
    OpenFiles,
    /// `limits.rate`
    Rate,
    /// `limits.body_memory`
    BodyMemory,
    /// A sink does not take its records.
    Sink,
    /// `hosts.concurrency` of this host.
    HostConcurrency(Arc<str>, u32),
    /// What an adaptive `hosts.concurrency` of this host has come to.
    HostAdaptive(Arc<str>),
    /// `hosts.rate` of this host.
    HostRate(Arc<str>),
    /// This host asked for a pause, by Retry-After or 429.
    HostPause(Arc<str>),
    /// This host could not be reached, time and again.
    CircuitOpen(Arc<str>),
    /// The robots.txt of a site at this host is yet to come.
    Robots(Arc<str>),
    /// The robots.txt of this host asks for more time between requests than `hosts.rate` does.
    CrawlDelay(Arc<str>),
    /// Retries of this host wait for their back-off.
    Backoff(Arc<str>),
    /// `limits.hosts`
    Hosts,
}

impl Core {
    /// What keeps the waiting lines from starting. Looks at each host, so it is for a few times a second.
    pub fn limit(&self, now: Duration) -> Limit {
        if self.starved_until > now {
            return Limit::OpenFiles;
        }
        if !self.ring.is_empty() {
            return match () {
                () if self.pace.next() > now => Limit::Rate,
                () if self.is_full() => Limit::Adaptive,
                () => Limit::Concurrency,
            };
        }
        if !self.untracked.is_empty() {
            return Limit::Hosts;
        }
        let Some((_, host)) = self.hosts.iter().max_by_key(|(_, host)| host.waiting()) else { return Limit::Input };
        let name = Arc::clone(&host.name);
        if host.waiting() == 0 {
            Limit::Input
        } else if host.circuit.is_open() {
            Limit::CircuitOpen(name)
        } else if host.rest.paused_until > now {
            Limit::HostPause(name)
        } else if host.asking.is_some() {
            Limit::Robots(name)
        } else if host.in_flight >= host.concurrency() {
            match host.limits.concurrency {
                Concurrency::Fixed(n) => Limit::HostConcurrency(name, n),
                Concurrency::Adaptive => Limit::HostAdaptive(name),
            }
        } else if host.pace.next() > now {
            if host.pace.is_slower_than(host.limits.every) { Limit::CrawlDelay(name) } else { Limit::HostRate(name) }
        } else {
            Limit::Backoff(name)
        }
    }
}

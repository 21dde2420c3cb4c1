//! The bottleneck: what limits the run right now, by the name of the limit that would change it.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::units::Concurrency;

/// What holds the run back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bottleneck {
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
    pub fn bottleneck(&self, now: Duration) -> Bottleneck {
        if self.starved_until > now {
            return Bottleneck::OpenFiles;
        }
        if self.hosts.first_ready().is_some() {
            return match () {
                () if self.rate_limiter.next() > now => Bottleneck::Rate,
                () if self.is_full() => Bottleneck::Adaptive,
                () => Bottleneck::Concurrency,
            };
        }
        if self.hosts.has_untracked() {
            return Bottleneck::Hosts;
        }
        let Some((_, host)) = self.hosts.iter().max_by_key(|(_, host)| host.waiting()) else {
            return Bottleneck::Input;
        };
        let name = Arc::clone(&host.name);
        if host.waiting() == 0 {
            Bottleneck::Input
        } else if host.circuit_breaker.is_open() {
            Bottleneck::CircuitOpen(name)
        } else if host.pause.paused_until > now {
            Bottleneck::HostPause(name)
        } else if host.queue().robots_fetch().is_some() {
            Bottleneck::Robots(name)
        } else if host.in_flight >= host.concurrency() {
            match host.limits.concurrency {
                Concurrency::Fixed(n) => Bottleneck::HostConcurrency(name, n),
                Concurrency::Adaptive => Bottleneck::HostAdaptive(name),
            }
        } else if host.rate_limiter.next() > now {
            if host.rate_limiter.is_slower_than(host.limits.every) {
                Bottleneck::CrawlDelay(name)
            } else {
                Bottleneck::HostRate(name)
            }
        } else {
            Bottleneck::Backoff(name)
        }
    }
}

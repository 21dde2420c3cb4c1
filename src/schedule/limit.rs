//! What holds the run back right now, said by the name of the limit that would change it.

use std::sync::Arc;
use std::time::Duration;

use super::Core;

/// What holds the run back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Nothing waits: the input is the limit.
    Input,
    /// Nothing waits, and no input is to come: the servers' own time is the limit.
    Servers,
    /// `limits.concurrency`
    Concurrency,
    /// `limits.rate`
    Rate,
    /// `limits.body_memory`
    BodyMemory,
    /// A sink does not take its records.
    Sink,
    /// `hosts.concurrency` of this host.
    HostConcurrency(Arc<str>, u32),
    /// `hosts.rate` of this host.
    HostRate(Arc<str>),
    /// A Retry-After of this host.
    HostPause(Arc<str>),
    /// Retries of this host wait for their back-off.
    Backoff(Arc<str>),
    /// `limits.hosts`
    Hosts,
}

impl Core {
    /// What keeps the waiting lines from starting. Looks at each host, so it is for a few times a second.
    pub fn limit(&self, now: Duration) -> Limit {
        if !self.ring.is_empty() {
            return if self.pace.next() > now { Limit::Rate } else { Limit::Concurrency };
        }
        if !self.untracked.is_empty() {
            return Limit::Hosts;
        }
        let Some((_, host)) = self.hosts.iter().max_by_key(|(_, host)| host.waiting()) else { return Limit::Input };
        let name = Arc::clone(&host.name);
        if host.waiting() == 0 {
            Limit::Input
        } else if host.paused_until > now {
            Limit::HostPause(name)
        } else if host.in_flight >= host.limits.concurrency {
            Limit::HostConcurrency(name, host.limits.concurrency)
        } else if host.pace.next() > now {
            Limit::HostRate(name)
        } else {
            Limit::Backoff(name)
        }
    }
}

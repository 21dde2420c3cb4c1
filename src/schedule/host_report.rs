//! Reports on one host: what it has, what holds it back, and the limits in force.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::host_table::Host;
use super::overrides::HostOverrides;
use super::reports::{HostReport, HostStatus, HostWhy, LastError, LimitBy, LimitsInForce};
use super::wait_reason::WaitReason;
use crate::units::Concurrency;

impl Core {
    /// A report of the host of this name; of several ports that are hosts of their own, the one with the most waiting lines.
    pub fn host_report(&self, name: &str, now: Duration) -> Option<HostReport> {
        let hosts = self.hosts_of(name).into_iter().map(|id| &self.hosts[id]);
        hosts.max_by_key(|host| host.waiting()).map(|host| self.report(host, now))
    }

    /// Why the next line of this host waits; `None` if the host has no lines.
    pub fn host_why(&self, name: &str, now: Duration) -> Option<HostWhy> {
        let host = self.hosts_of(name).into_iter().map(|id| &self.hosts[id]).find(|host| !host.is_idle())?;
        let causes = host.next_waiting().map(|line| self.causes(host, line, now)).unwrap_or_default();
        Some(HostWhy { host: Arc::clone(&host.name), causes, waiting: host.waiting(), in_flight: host.in_flight })
    }

    /// The limits in force for the host of this name, with or without lines, or for the run.
    pub fn limits_of(&self, host: Option<&str>) -> LimitsInForce {
        let set_by = |is_override| if is_override { LimitBy::Override } else { LimitBy::Configuration };
        let Some(name) = host else {
            let of_operator = self.run_orders();
            let concurrency_by = match self.adaptive {
                Some(_) => LimitBy::Adaptive,
                None => set_by(of_operator.concurrency.is_some()),
            };
            let (every, every_by) = (self.rate_limiter.interval(), set_by(of_operator.rate.is_some()));
            return LimitsInForce { every, every_by, concurrency: self.most_at_once(), concurrency_by };
        };
        if let Some(id) = self.hosts.find(name) {
            return self.hosts[id].limits_in_force();
        }
        let limits = self.limits_when_entered(name);
        let HostOverrides { rate, concurrency, .. } = self.overrides().holding_for(name);
        let (concurrency, concurrency_by) = match (concurrency, limits.concurrency) {
            (Some(of_operator), _) => (of_operator.limit, LimitBy::Override),
            (None, Concurrency::Fixed(limit)) => (limit, LimitBy::Configuration),
            // It starts at one.
            (None, Concurrency::Adaptive) => (1, LimitBy::Adaptive),
        };
        let every = rate.map_or(limits.every, |of_operator| of_operator.rate.every());
        LimitsInForce { every, every_by: set_by(rate.is_some()), concurrency, concurrency_by }
    }

    pub(super) fn report(&self, host: &Host, now: Duration) -> HostReport {
        let causes = host.next_waiting().map(|line| self.causes(host, line, now));
        let next_start = causes.as_ref().and_then(|causes| {
            let left: Option<Vec<Duration>> = causes.iter().map(|cause| cause.left).collect();
            left.map(|left| left.into_iter().max().unwrap_or_default())
        });
        let last_error = host.trouble.as_ref().map(|trouble| LastError {
            kind: trouble.last.0,
            message: Arc::clone(&trouble.last.1),
            ago: now.saturating_sub(trouble.at),
        });
        HostReport {
            name: Arc::clone(&host.name),
            waiting: host.waiting(),
            in_flight: host.in_flight,
            status: host.status(now),
            limits: host.limits_in_force(),
            pace: host.pace(),
            next_start,
            causes: causes.unwrap_or_default(),
            errors: host.errors(),
            last_error,
        }
    }
}

impl Host {
    /// Its status.
    pub fn status(&self, now: Duration) -> HostStatus {
        let overrides = self.orders.as_ref().map(|orders| &orders.overrides);
        if overrides.is_some_and(|overrides| overrides.pause.is_some()) {
            return HostStatus::Paused;
        }
        if overrides.is_some_and(|overrides| overrides.skip.is_some()) {
            return HostStatus::Skipped;
        }
        match self.next_wait() {
            None if self.in_flight > 0 => HostStatus::Busy,
            None => HostStatus::Idle,
            Some(wait) if wait.is_over(now) => HostStatus::Ready,
            Some(WaitReason::HostPause { .. }) => HostStatus::Resting,
            Some(WaitReason::Quota { .. }) => HostStatus::Quota,
            Some(WaitReason::Token { .. } | WaitReason::NoToken) => HostStatus::Token,
            Some(WaitReason::CircuitOpen { .. }) => HostStatus::Unreachable,
            Some(WaitReason::Robots { .. }) => HostStatus::Robots,
            Some(WaitReason::Skipped) => HostStatus::Skipped,
            Some(_) => HostStatus::Limited,
        }
    }

    /// Failed attempts, and responses that are retried.
    pub fn errors(&self) -> u64 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.count)
    }

    fn limits_in_force(&self) -> LimitsInForce {
        let by = self.orders.as_ref().map(|orders| &orders.overrides);
        let set_by = |is_override| if is_override { LimitBy::Override } else { LimitBy::Configuration };
        LimitsInForce {
            every: self.rate_limiter.interval(),
            every_by: match self.rate_limiter.obeys_crawl_delay() {
                true => LimitBy::CrawlDelay,
                false => set_by(by.is_some_and(|by| by.rate.is_some())),
            },
            concurrency: self.concurrency(),
            concurrency_by: if self.is_adaptive() {
                LimitBy::Adaptive
            } else {
                set_by(by.is_some_and(|by| by.concurrency.is_some()))
            },
        }
    }
}

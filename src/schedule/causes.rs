//! Every cause that holds a line back now, not only the last one to end. Causes use the same facts as `Host::next_wait`
//! and `Core::run_wait`, which decide when lines start: a line without a cause only waits for its turn.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::bottleneck::pattern_of;
use super::config::{HostLimits, HostRule};
use super::dispatch::BodyMemoryRoom;
use super::host_key::name_and_port;
use super::host_table::{HELD, Host};
use super::reports::{Cause, ConfiguredLimit, Remedy};
use super::stall_clock::StallReason;
use super::wait_reason::WaitReason;
use crate::units::Concurrency;

/// The line of a host that a query names, or the one that starts next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// When it is due, if it was dispatched before.
    pub due: Duration,
    /// Its port, if it matters.
    pub port: Option<u16>,
    /// Whether it waits for another to fetch the robots.txt.
    pub robots: bool,
}

impl Core {
    /// The causes that hold all lines back.
    pub(super) fn run_causes(&self, now: Duration) -> Vec<Cause> {
        let stalls = self.clock.reasons().map(|reason| match reason {
            StallReason::Paused => self.run_pause(),
            reason => WaitReason::Stalled(reason),
        });
        let (in_flight, limit) = (self.lines.in_flight(), self.most_at_once());
        let full = (in_flight >= limit as usize).then_some(WaitReason::Concurrency { in_flight, limit });
        let rate = WaitReason::Rate { until: self.rate_limiter.next() };
        let memory = (self.body_memory == BodyMemoryRoom::Lacking).then_some(WaitReason::BodyMemory);
        let reasons = stalls.chain(full).chain(memory).chain([rate]).filter(|reason| !reason.is_over(now));
        reasons.map(|reason| self.cause(reason, None, now)).collect()
    }

    /// The causes that hold this line back, including those of all lines.
    pub(super) fn causes(&self, host: &Host, line: Waiting, now: Duration) -> Vec<Cause> {
        let mut causes = self.run_causes(now);
        let mut own: Vec<_> = host.reasons(line).into_iter().filter(|reason| !reason.is_over(now)).collect();
        let names_robots = || own.iter().any(|own| matches!(own, WaitReason::Robots { .. }));
        if host.robots_fetched_again().is_some() && !own.is_empty() && !names_robots() {
            // It is fetched when they end.
            let ends: Option<Vec<_>> = own.iter().map(|own| own.until()).collect();
            own.push(WaitReason::Robots { until: ends.and_then(|ends| ends.into_iter().max()) });
        }
        causes.extend(own.into_iter().map(|reason| self.cause(reason, Some(host), now)));
        causes
    }

    pub(super) fn cause(&self, reason: WaitReason, host: Option<&Host>, now: Duration) -> Cause {
        let until = match self.limits_over(reason, host) {
            Some(over) => self.until_without_override(reason, host, over).or(reason.until()),
            None => reason.until(),
        };
        let left = until.map(|until| until.saturating_sub(now));
        // Whether its lines are sent is unknown while a robots.txt is fetched.
        let sends = host.filter(|host| !host.queue.awaits_robots() && host.robots_fetched_again().is_none());
        let pace = sends.filter(|_| reason.is_of_pace()).map(Host::pace);
        Cause { reason, left, remedy: self.remedy(reason, host, now), pace }
    }

    /// When the operator's limit behind this reason ends, if that is before the reason ends.
    fn limits_over(&self, reason: WaitReason, host: Option<&Host>) -> Option<Duration> {
        let overrides = match host {
            Some(host) => &host.orders.as_ref()?.overrides,
            None => self.run_orders(),
        };
        let over = match reason {
            WaitReason::Rate { .. } | WaitReason::HostRate { .. } => overrides.rate?.until,
            WaitReason::Concurrency { .. } | WaitReason::HostConcurrency { .. } => overrides.concurrency?.until,
            _ => None,
        };
        over.filter(|over| reason.until().is_none_or(|until| *over < until))
    }

    /// When this reason ends if the configured limit holds from `over` on; `None` if another event must come first.
    fn until_without_override(&self, reason: WaitReason, host: Option<&Host>, over: Duration) -> Option<Duration> {
        let limits = host.map(|host| self.configured(host));
        match (reason, host, limits) {
            (WaitReason::Rate { until }, ..) => {
                Some(over.max((until + self.settings.every).saturating_sub(self.rate_limiter.own_interval())))
            }
            (WaitReason::HostRate { until }, Some(host), Some(limits)) => {
                Some(over.max((until + limits.every).saturating_sub(host.rate_limiter.own_interval())))
            }
            (WaitReason::Concurrency { in_flight, .. }, ..) => {
                let has_room = self.settings.adaptive.is_none() && in_flight < self.settings.permits as usize;
                has_room.then_some(over)
            }
            (WaitReason::HostConcurrency { in_flight, .. }, Some(_), Some(limits)) => {
                matches!(limits.concurrency, Concurrency::Fixed(most) if in_flight < most).then_some(over)
            }
            _ => None,
        }
    }

    /// The configured limits of a host.
    fn configured(&self, host: &Host) -> HostLimits {
        let (name, port) = name_and_port(&host.name);
        self.settings.limits_of(name, port)
    }

    /// What changes this cause.
    fn remedy(&self, reason: WaitReason, host: Option<&Host>, now: Duration) -> Option<Remedy> {
        self.remedy_of_operator(reason, host).or_else(|| self.remedy_of_configuration(reason, host, now))
    }

    /// The command that changes what an operator has set, or the file of a token.
    fn remedy_of_operator(&self, reason: WaitReason, host: Option<&Host>) -> Option<Remedy> {
        let of_host = host.and_then(|host| host.orders.as_ref()).map(|orders| &orders.overrides);
        let overrides = if host.is_some() { of_host } else { Some(self.run_orders()) };
        let name = || host.map(|host| Arc::clone(&host.name));
        let (sets_rate, sets_concurrency) =
            overrides.map_or((false, false), |set| (set.rate.is_some(), set.concurrency.is_some()));
        let configured = match reason {
            WaitReason::RunPaused { .. } | WaitReason::Paused { .. } => return Some(Remedy::Resume { host: name() }),
            WaitReason::Token { .. } | WaitReason::NoToken => {
                return Some(Remedy::Token { files: self.token_files(host?) });
            }
            WaitReason::Rate { .. } if sets_rate => ConfiguredLimit::Every(self.settings.every),
            WaitReason::HostRate { .. } if sets_rate => ConfiguredLimit::Every(self.configured(host?).every),
            WaitReason::Concurrency { .. } if sets_concurrency => {
                let fixed = Concurrency::Fixed(self.settings.permits);
                ConfiguredLimit::Concurrency(self.settings.adaptive.map_or(fixed, |_| Concurrency::Adaptive))
            }
            WaitReason::HostConcurrency { .. } if sets_concurrency => {
                ConfiguredLimit::Concurrency(self.configured(host?).concurrency)
            }
            _ => return None,
        };
        Some(Remedy::Limits { host: name(), configured })
    }

    /// The key that sets the limit.
    fn remedy_of_configuration(&self, reason: WaitReason, host: Option<&Host>, now: Duration) -> Option<Remedy> {
        let key = |key| Remedy::Key { key, pattern: None, host: None };
        let host_key = |key, sets: fn(&HostRule) -> bool| Remedy::Key {
            key,
            pattern: host.and_then(|host| pattern_of(&self.settings, &host.name, sets)),
            host: host.map(|host| Arc::clone(&host.name)),
        };
        Some(match reason {
            WaitReason::Rate { .. } => key("limits.rate"),
            WaitReason::Concurrency { .. } if self.adaptive.is_some() => key("limits.max_concurrency"),
            WaitReason::Concurrency { .. } => key("limits.concurrency"),
            WaitReason::BodyMemory => key("limits.body_memory"),
            WaitReason::HostTable => key("limits.hosts"),
            WaitReason::HostRate { .. } => host_key("hosts.rate", |rule| rule.every.is_some()),
            WaitReason::CrawlDelay { .. } => key("robots.max_crawl_delay"),
            WaitReason::HostConcurrency { .. } if host.is_some_and(Host::is_adaptive) => {
                host_key("hosts.max_concurrency", |rule| rule.max_concurrency.is_some())
            }
            WaitReason::HostConcurrency { .. } => host_key("hosts.concurrency", |rule| rule.concurrency.is_some()),
            WaitReason::Quota { .. } => host_key("hosts.quota", |rule| rule.quota.is_some()),
            WaitReason::CircuitOpen { .. } => key("health.cool_down"),
            WaitReason::Backoff { .. } => key("retry.backoff"),
            WaitReason::Robots { until } => {
                let of_due = host.zip(until).and_then(|(host, at)| host.robots_wait(at));
                let wait = of_due.or_else(|| host?.robots_fetched_again());
                match (until, wait) {
                    (None, None) => key("robots.enabled"),
                    (_, wait) => Remedy::Robots { fails_in: wait.map(|wait| wait.fails_at.saturating_sub(now)) },
                }
            }
            // No key changes a host's response, or work in progress.
            WaitReason::HostPause { .. }
            | WaitReason::Token { .. }
            | WaitReason::NoToken
            | WaitReason::RunPaused { .. }
            | WaitReason::Paused { .. }
            | WaitReason::Stalled(_)
            | WaitReason::Skipped
            | WaitReason::Ready
            | WaitReason::OnWire { .. } => return None,
        })
    }
}

impl Host {
    /// The line that starts next, if one waits.
    pub fn next_waiting(&self) -> Option<Waiting> {
        match (self.queue.next_due(), self.queue.next_of_held()) {
            (due, Some((at, port))) if due.is_none_or(|due| at < due) => {
                // Only the end of its robots.txt fetch sets a time again.
                let own = self.queue.due_of_held(port);
                Some(Waiting { due: own.unwrap_or_default(), port: Some(port), robots: own.is_none() })
            }
            (Some(due), _) => Some(Waiting { due, port: None, robots: false }),
            // Lines that are held for the host's token.
            (None, None) => (self.waiting() > 0).then_some(Waiting { due: HELD, port: None, robots: false }),
            (None, Some(_)) => None,
        }
    }

    /// The line of this ordinal to this port.
    pub fn waiting_line(&self, ordinal: u64, port: u16, due: Option<Duration>) -> Waiting {
        let robots = self.queue.robots_fetch(port).is_some() && !self.queue.fetches_robots(ordinal, port, due);
        Waiting { due: due.unwrap_or_default(), port: Some(port), robots }
    }

    /// All reasons that may hold it back, over or not.
    fn reasons(&self, line: Waiting) -> Vec<WaitReason> {
        let (in_flight, limit, paced) = (self.in_flight, self.concurrency(), self.rate_limiter.next());
        let quota = self.quota.as_ref().and_then(|quota| quota.wait(in_flight));
        let open = line.port.and_then(|port| self.queue.open_port(port));
        let is_fetched = line.port.is_some_and(|port| self.queue.robots_fetch(port).is_some());
        let fetches_robots = is_fetched && !line.robots;
        let slower = self.rate_limiter.obeys_crawl_delay();
        [
            self.orders.as_ref().and_then(|orders| orders.wait()),
            self.token_wait(),
            quota.map(|until| WaitReason::Quota { until }),
            (in_flight >= limit).then_some(WaitReason::HostConcurrency { in_flight, limit }),
            open.map(|open| WaitReason::CircuitOpen { port: open.port, probe_at: open.probe_at }),
            line.robots.then_some(WaitReason::Robots { until: None }),
            slower.then_some(WaitReason::CrawlDelay { until: paced }),
            (!slower).then_some(WaitReason::HostRate { until: paced }),
            Some(WaitReason::HostPause { until: self.pause.until() }),
            match line.due {
                HELD if self.token_wait().is_some() => None,
                HELD => Some(self.wait_of_token_held()),
                until if fetches_robots || self.robots_wait(until).is_some() => {
                    Some(WaitReason::Robots { until: Some(until) })
                }
                until => Some(WaitReason::Backoff { until }),
            },
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

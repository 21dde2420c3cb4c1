//! The bottleneck: the limit that holds the run back right now.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::config::{HostRule, Settings};
use super::host_table::Host;
use super::reports::LimitBy;
use super::wait_reason::WaitReason;
use crate::hosts::HostPattern;
use crate::units::Concurrency;

/// The kind of limit that holds the run back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BottleneckKind {
    /// No line waits: the input is the limit.
    Input,
    /// No line waits, and the input has ended: only requests on the wire are left.
    Servers,
    /// `limits.concurrency`
    Concurrency,
    /// `fetch.workers`
    Workers,
    /// The current value of an adaptive `limits.concurrency`.
    Adaptive,
    /// This machine has no open files or ports left.
    OpenFiles,
    /// `limits.rate`
    Rate,
    /// `limits.body_memory`
    BodyMemory,
    /// A sink applies back-pressure.
    Sink,
    /// `hosts.concurrency` of the host.
    HostConcurrency,
    /// The current value of an adaptive `hosts.concurrency` of the host.
    HostAdaptive,
    /// `hosts.rate` of the host.
    HostRate,
    /// The host pauses, for a Retry-After or a 429.
    HostPause,
    /// The host's quota is used up (`RateLimit`).
    Quota,
    /// The host's token was refused (`hosts.refresh_on`), and the host waits for a new one.
    Token,
    /// The circuit of a port of the host is open.
    CircuitOpen,
    /// A robots.txt of the host is being fetched.
    Robots,
    /// A robots.txt of the host could not be fetched.
    RobotsUnavailable,
    /// The Crawl-delay of the host is longer than the interval of `hosts.rate`.
    CrawlDelay,
    /// Retries of the host wait for their back-off.
    Backoff,
    /// `limits.hosts`
    Hosts,
    /// `queue.window`: it is full of lines that wait for their hosts.
    Window,
    /// `queue.window_bytes`: likewise.
    WindowBytes,
    /// An operator has paused the run, or the host.
    Paused,
}

impl BottleneckKind {
    /// All of them, by their numbers.
    pub const ALL: [Self; 24] = [
        Self::Input,
        Self::Servers,
        Self::Concurrency,
        Self::Workers,
        Self::Adaptive,
        Self::OpenFiles,
        Self::Rate,
        Self::BodyMemory,
        Self::Sink,
        Self::HostConcurrency,
        Self::HostAdaptive,
        Self::HostRate,
        Self::HostPause,
        Self::Quota,
        Self::Token,
        Self::CircuitOpen,
        Self::Robots,
        Self::RobotsUnavailable,
        Self::CrawlDelay,
        Self::Backoff,
        Self::Hosts,
        Self::Window,
        Self::WindowBytes,
        Self::Paused,
    ];

    /// Its name in the API and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Servers => "servers",
            Self::Concurrency => "concurrency",
            Self::Workers => "workers",
            Self::Adaptive => "adaptive",
            Self::OpenFiles => "open_files",
            Self::Rate => "rate",
            Self::BodyMemory => "body_memory",
            Self::Sink => "sink",
            Self::HostConcurrency => "host_concurrency",
            Self::HostAdaptive => "host_adaptive",
            Self::HostRate => "host_rate",
            Self::HostPause => "host_pause",
            Self::Quota => "quota",
            Self::Token => "token",
            Self::CircuitOpen => "circuit_open",
            Self::Robots => "robots",
            Self::RobotsUnavailable => "robots_unavailable",
            Self::CrawlDelay => "crawl_delay",
            Self::Backoff => "backoff",
            Self::Hosts => "hosts",
            Self::Window => "window",
            Self::WindowBytes => "window_bytes",
            Self::Paused => "paused",
        }
    }
}

/// The limit that holds the run back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    /// The kind of limit.
    pub kind: BottleneckKind,
    /// The host whose limit it is, if it is that of a host.
    pub host: Option<Arc<str>>,
    /// The port of the host, of [`BottleneckKind::CircuitOpen`].
    pub port: Option<u16>,
    /// The files that a new token can come from, of [`BottleneckKind::Token`].
    pub files: Option<Arc<str>>,
    /// The `[hosts]` pattern whose key sets it, if it is that of a host and set for some hosts only.
    pub pattern: Option<HostPattern>,
    /// Whether the configuration or an operator set it.
    pub set_by: LimitBy,
    /// The number that the limit is set to, of [`BottleneckKind::HostConcurrency`]; the lines in the window; those of a paused
    /// host, where they fill the window.
    pub limit: Option<u32>,
    /// The hosts of these lines.
    pub hosts: Option<u32>,
}

impl From<BottleneckKind> for Bottleneck {
    fn from(kind: BottleneckKind) -> Self {
        Self {
            kind,
            host: None,
            port: None,
            files: None,
            pattern: None,
            set_by: LimitBy::Configuration,
            limit: None,
            hosts: None,
        }
    }
}

impl Core {
    /// The limit that delays the end of the run: one of the whole run, or that of the host that is done last.
    pub fn bottleneck(&self, now: Duration) -> Bottleneck {
        if self.starved_until > now {
            return BottleneckKind::OpenFiles.into();
        }
        if self.is_run_paused() {
            return BottleneckKind::Paused.into();
        }
        let longest = self.longest_host(now);
        if self.hosts.first_ready().is_some() {
            // The run holds these lines back. A host is the bottleneck all the same if it takes longer than all lines.
            let longer = longest.filter(|(_, seconds)| *seconds > self.run_seconds());
            let waits = longer.and_then(|(id, _)| self.hosts[id].next_wait().map(|wait| (&self.hosts[id], wait)));
            let limit = waits.filter(|(_, wait)| !wait.is_over(now));
            return limit.map_or_else(|| self.limit_of_run(now), |(host, wait)| self.limit_of_host(host, wait));
        }
        if self.hosts.has_untracked() {
            return BottleneckKind::Hosts.into();
        }
        let longest = longest.map(|(id, _)| &self.hosts[id]).filter(|host| host.waiting() > 0);
        let host = longest.or_else(|| self.hosts.by_waiting().next());
        let waits = |host: &Host| host.next_wait().map(|wait| self.limit_of_host(host, wait));
        host.and_then(waits).unwrap_or(BottleneckKind::Input.into())
    }

    /// The limit of the run that ready hosts wait for.
    fn limit_of_run(&self, now: Duration) -> Bottleneck {
        let of_operator = self.run_orders();
        let (kind, is_override) = match self.run_wait() {
            WaitReason::Concurrency { .. } if self.adaptive.is_some() => (BottleneckKind::Adaptive, false),
            WaitReason::Rate { until } if until > now => (BottleneckKind::Rate, of_operator.rate.is_some()),
            _ => (BottleneckKind::Concurrency, of_operator.concurrency.is_some()),
        };
        Bottleneck { set_by: set_by(is_override), ..kind.into() }
    }
}

fn set_by(is_override: bool) -> LimitBy {
    if is_override { LimitBy::Override } else { LimitBy::Configuration }
}

impl Core {
    /// The limit of a host that its next line waits for.
    fn limit_of_host(&self, host: &Host, wait: WaitReason) -> Bottleneck {
        let settings = &self.settings;
        let wait = match wait {
            // While a request is on the wire; more of them would not start sooner.
            WaitReason::HostConcurrency { .. } if host.pace().is_slowed_by_rate() == Some(true) => host.rate_wait(),
            wait => wait,
        };
        let (kind, limit) = match (wait, host.limits.concurrency) {
            _ if host.fetches_robots_again(wait) => (BottleneckKind::RobotsUnavailable, None),
            (WaitReason::HostConcurrency { .. }, Concurrency::Fixed(n)) => (BottleneckKind::HostConcurrency, Some(n)),
            (WaitReason::HostConcurrency { .. }, Concurrency::Adaptive) => (BottleneckKind::HostAdaptive, None),
            (WaitReason::HostRate { .. }, _) => (BottleneckKind::HostRate, None),
            (WaitReason::CrawlDelay { .. }, _) => (BottleneckKind::CrawlDelay, None),
            (WaitReason::HostPause { .. }, _) => (BottleneckKind::HostPause, None),
            (WaitReason::Quota { .. }, _) => (BottleneckKind::Quota, None),
            (WaitReason::Token { .. } | WaitReason::NoToken, _) => (BottleneckKind::Token, None),
            (WaitReason::CircuitOpen { .. }, _) => (BottleneckKind::CircuitOpen, None),
            (WaitReason::Robots { until: None }, _) => (BottleneckKind::Robots, None),
            (WaitReason::Robots { until: Some(_) }, _) => (BottleneckKind::RobotsUnavailable, None),
            (WaitReason::Paused { .. } | WaitReason::Skipped, _) => (BottleneckKind::Paused, None),
            _ => (BottleneckKind::Backoff, None),
        };
        let port = match wait {
            WaitReason::CircuitOpen { port, .. } => Some(port),
            _ => None,
        };
        let pattern = match kind {
            BottleneckKind::HostConcurrency => pattern_of(settings, &host.name, |rule| rule.concurrency.is_some()),
            BottleneckKind::HostAdaptive => pattern_of(settings, &host.name, |rule| rule.max_concurrency.is_some()),
            BottleneckKind::HostRate => pattern_of(settings, &host.name, |rule| rule.every.is_some()),
            _ => None,
        };
        let of_operator = host.orders.as_ref().map(|orders| &orders.overrides);
        let is_override = match kind {
            BottleneckKind::HostConcurrency => of_operator.is_some_and(|of_operator| of_operator.concurrency.is_some()),
            BottleneckKind::HostRate => of_operator.is_some_and(|of_operator| of_operator.rate.is_some()),
            _ => false,
        };
        let files = (kind == BottleneckKind::Token).then(|| self.token_files(host).into());
        let set_by = set_by(is_override);
        Bottleneck { host: Some(Arc::clone(&host.name)), port, files, pattern, set_by, limit, ..kind.into() }
    }
}

/// The pattern that sets a key for this host, unless it is `*`, whose keys are also options.
pub(super) fn pattern_of(settings: &Settings, host: &str, sets: fn(&HostRule) -> bool) -> Option<HostPattern> {
    let with_port = host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    let (name, port) = with_port.unwrap_or((host, 0));
    let (pattern, _) = settings.hosts.entries_matching(name, port).find(|(_, rule)| sets(rule))?;
    Some(pattern).filter(|pattern| **pattern != HostPattern::Any).cloned()
}

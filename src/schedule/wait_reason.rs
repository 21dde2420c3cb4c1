//! Why a line waits, as `Core::why` (`views.rs`) shows it. `Host::next_start` and `Core::may_start` use the same
//! reasons to start lines, so a shown reason always holds. All times are since the start of the run.

use std::time::Duration;

use super::stall_clock::StallReason;
use crate::item::WaitedFor;

/// The reason that holds a line back, or its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Only the turns of other lines and a free worker.
    Ready,
    /// It is on the wire.
    OnWire {
        /// The start of its request.
        since: Duration,
    },
    /// No line starts for this reason.
    Stalled(StallReason),
    /// An operator has paused the run.
    RunPaused {
        /// The end of the pause; `None` until it is resumed.
        until: Option<Duration>,
    },
    /// An operator has paused the host.
    Paused {
        /// The end of the pause; `None` until it is resumed.
        until: Option<Duration>,
    },
    /// The waiting lines of the host are being skipped.
    Skipped,
    /// `limits.body_memory` is used up.
    BodyMemory,
    /// The host table is full (`limits.hosts`).
    HostTable,
    /// `limits.rate`
    Rate {
        /// The next start of any host.
        until: Duration,
    },
    /// `limits.concurrency` is reached: configured, adaptive, set by an operator, or the number of workers.
    Concurrency {
        /// Requests on the wire.
        in_flight: usize,
        /// The limit now.
        limit: u32,
    },
    /// `hosts.rate`
    HostRate {
        /// The next start of this host.
        until: Duration,
    },
    /// The Crawl-delay, which is longer than the interval of `hosts.rate`.
    CrawlDelay {
        /// The next start of this host.
        until: Duration,
    },
    /// `hosts.concurrency` is reached.
    HostConcurrency {
        /// Requests to this host on the wire.
        in_flight: u32,
        /// The limit now.
        limit: u32,
    },
    /// A Retry-After, or a 429.
    HostPause {
        /// The end of the pause.
        until: Duration,
    },
    /// The host's quota has no more requests than are on the wire, or the next quota is unknown.
    Quota {
        /// When it is reset; `None` while the response to a request on the wire will tell.
        until: Option<Duration>,
    },
    /// The host's token was refused.
    Token {
        /// Until when the host waits for a new one; `None` while a probe is on the wire.
        until: Option<Duration>,
    },
    /// No new token came within `retry.refresh_wait`: lines keep their places until there is one.
    NoToken,
    /// The circuit of a port of the host is open.
    CircuitOpen {
        /// The port.
        port: u16,
        /// When the next line may probe it; `None` while a probe is under way, or older requests fill the limit.
        probe_at: Option<Duration>,
    },
    /// The robots.txt of a site at this host is being fetched, or is unavailable.
    Robots {
        /// When it is fetched again after a failure; `None` while another line fetches it.
        until: Option<Duration>,
    },
    /// The back-off before a retry.
    Backoff {
        /// Its end.
        until: Duration,
    },
}

impl WaitReason {
    /// When it ends by itself; `None` if another event must come first.
    pub fn until(self) -> Option<Duration> {
        match self {
            Self::Ready => Some(Duration::ZERO),
            Self::Rate { until }
            | Self::HostRate { until }
            | Self::CrawlDelay { until }
            | Self::HostPause { until }
            | Self::Backoff { until } => Some(until),
            Self::Quota { until }
            | Self::Token { until }
            | Self::RunPaused { until }
            | Self::Paused { until }
            | Self::Robots { until } => until,
            Self::CircuitOpen { probe_at, .. } => probe_at,
            Self::OnWire { .. }
            | Self::Stalled(_)
            | Self::Skipped
            | Self::BodyMemory
            | Self::HostTable
            | Self::Concurrency { .. }
            | Self::HostConcurrency { .. }
            | Self::NoToken => None,
        }
    }

    /// Its name: for waits, that of the records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::OnWire { .. } => "on_the_wire",
            Self::RunPaused { .. } => "run_paused",
            Self::Skipped => "skipped",
            Self::BodyMemory => "body_memory",
            _ => self.waited_for().map_or("ready", WaitedFor::name),
        }
    }

    /// Whether it has ended.
    pub fn is_over(self, now: Duration) -> bool {
        self.until().is_some_and(|at| at <= now)
    }

    /// Whether it is a limit on the pace of a host.
    pub(super) fn is_of_pace(self) -> bool {
        matches!(self, Self::HostRate { .. } | Self::CrawlDelay { .. } | Self::HostConcurrency { .. })
    }

    /// The wait in records for this reason.
    pub(super) fn waited_for(self) -> Option<WaitedFor> {
        Some(match self {
            Self::Ready | Self::OnWire { .. } => return None,
            Self::Stalled(StallReason::Paused) | Self::RunPaused { .. } | Self::Paused { .. } | Self::Skipped => {
                WaitedFor::Paused
            }
            Self::Stalled(_) => WaitedFor::Output,
            Self::BodyMemory => WaitedFor::Concurrency,
            Self::HostTable => WaitedFor::Hosts,
            Self::Rate { .. } => WaitedFor::Rate,
            Self::Concurrency { .. } => WaitedFor::Concurrency,
            Self::HostRate { .. } => WaitedFor::HostRate,
            Self::CrawlDelay { .. } => WaitedFor::CrawlDelay,
            Self::HostConcurrency { .. } => WaitedFor::HostConcurrency,
            Self::HostPause { .. } => WaitedFor::HostPause,
            Self::Quota { .. } => WaitedFor::Quota,
            Self::Token { .. } | Self::NoToken => WaitedFor::Token,
            Self::CircuitOpen { .. } => WaitedFor::Circuit,
            Self::Robots { .. } => WaitedFor::Robots,
            Self::Backoff { .. } => WaitedFor::Backoff,
        })
    }

    /// The same for a line that fetches a robots.txt: its back-off is that of the file.
    pub(super) fn of_robots_fetch(self) -> Self {
        match self {
            Self::Backoff { until } => Self::Robots { until: Some(until) },
            wait => wait,
        }
    }

    /// Of two reasons, the one that ends last; a reason without an end counts as the last.
    pub(super) fn or_later(self, other: Self) -> Self {
        match (self.until(), other.until()) {
            (Some(own), Some(others)) if others > own => other,
            (Some(_), None) => other,
            _ => self,
        }
    }
}

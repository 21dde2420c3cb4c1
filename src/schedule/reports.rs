//! Reports of the schedule for queries: the state of hosts, and why a line waits. Durations are from now on.

use std::sync::Arc;
use std::time::Duration;

use super::host_table::Host;
use super::pace::HostPace;
use super::wait_reason::WaitReason;
use crate::hosts::HostPattern;
use crate::item::ErrorKind;
use crate::units::Concurrency;

/// The status of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostStatus {
    /// It has no lines, and is kept for its state.
    Idle,
    /// It has lines on the wire, and none that wait.
    Busy,
    /// A line of it may start under its own limits.
    Ready,
    /// Its rate, its Crawl-delay, its concurrency or a back-off holds its next line.
    Limited,
    /// It pauses (Retry-After, 429).
    Resting,
    /// Its quota is used up, or is unknown.
    Quota,
    /// It waits for a new token.
    Token,
    /// The port of its next line cannot be reached.
    Unreachable,
    /// A robots.txt is fetched first.
    Robots,
    /// An operator has paused it.
    Paused,
    /// An operator skips its lines.
    Skipped,
}

impl HostStatus {
    /// All of them, by their numbers.
    pub const ALL: [Self; 11] = [
        Self::Idle,
        Self::Busy,
        Self::Ready,
        Self::Limited,
        Self::Resting,
        Self::Quota,
        Self::Token,
        Self::Unreachable,
        Self::Robots,
        Self::Paused,
        Self::Skipped,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Ready => "ready",
            Self::Limited => "limited",
            Self::Resting => "resting",
            Self::Quota => "quota",
            Self::Token => "token",
            Self::Unreachable => "unreachable",
            Self::Robots => "robots",
            Self::Paused => "paused",
            Self::Skipped => "skipped",
        }
    }

    /// The status of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// The number of hosts of the table in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounts(pub(super) [usize; HostStatus::ALL.len()]);

impl HostCounts {
    /// The number in this state.
    pub fn of(&self, status: HostStatus) -> usize {
        self.0[status as usize]
    }
}

/// A report of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    /// Its name, with the port if a pattern has it.
    pub name: Arc<str>,
    /// Its waiting lines.
    pub waiting: usize,
    /// Requests on the wire.
    pub in_flight: u32,
    /// Its status.
    pub status: HostStatus,
    /// Its limits now.
    pub limits: LimitsInForce,
    /// Its pace under them.
    pub pace: HostPace,
    /// When its next line starts, as far as known: zero for now; `None` if none waits, or another event must come
    /// first.
    pub next_start: Option<Duration>,
    /// The causes that hold its next line back now; none if it only waits for the turns of others.
    pub causes: Vec<Cause>,
    /// Failed attempts, and responses that are retried, since the host entered the table.
    pub errors: u64,
    /// The last of them.
    pub last_error: Option<LastError>,
}

/// The limits of a host now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsInForce {
    /// From one start to the next; zero for no limit.
    pub every: Duration,
    /// What set it: a Crawl-delay, the configuration or an operator.
    pub every_by: LimitBy,
    /// Requests on the wire at once.
    pub concurrency: u32,
    /// What set it.
    pub concurrency_by: LimitBy,
}

/// What set a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitBy {
    /// The configuration, or its default.
    Configuration,
    /// An operator.
    Override,
    /// Adaptive concurrency.
    Adaptive,
    /// A robots.txt.
    CrawlDelay,
}

/// The last error of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// Its kind.
    pub kind: ErrorKind,
    /// A sentence.
    pub message: Arc<str>,
    /// How long ago it was.
    pub ago: Duration,
}

/// One cause that holds a line back now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The reason; its times are since the start of the run.
    pub reason: WaitReason,
    /// How long it still holds, if it ends by itself.
    pub left: Option<Duration>,
    /// The key or verb that changes it, if any.
    pub remedy: Option<Remedy>,
    /// The pace of the host, if its own limits hold the line back.
    pub pace: Option<HostPace>,
}

/// The key or verb that changes a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A key of the configuration.
    Key {
        /// Its name; `hosts.` stands for the table of the pattern.
        key: &'static str,
        /// The pattern whose table sets it for this host; `None` if none does.
        pattern: Option<HostPattern>,
        /// The host whose limit it is; `None` for one of the run.
        host: Option<Arc<str>>,
    },
    /// An earlier fetch of a robots.txt that is unavailable, or an earlier end of the wait for it.
    Robots {
        /// When the lines fail; `None` while the first fetch is retried.
        fails_in: Option<Duration>,
    },
    /// A new token in one of these files.
    Token {
        /// Their paths.
        files: String,
    },
    /// `resume`, which ends the pause of an operator.
    Resume {
        /// Its host; `None` for the whole run.
        host: Option<Arc<str>>,
    },
    /// `limits`, because an operator has set the limit.
    Limits {
        /// Its host; `None` for the whole run.
        host: Option<Arc<str>>,
        /// The limit that holds once it is cleared.
        configured: ConfiguredLimit,
    },
}

/// A limit of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredLimit {
    /// The interval between two starts; zero for no limit.
    Every(Duration),
    /// The number of concurrent requests.
    Concurrency(Concurrency),
}

/// Why the next line of a host waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostWhy {
    /// Its name.
    pub host: Arc<str>,
    /// The causes that hold its next line back now; none if it only waits for the turns of others.
    pub causes: Vec<Cause>,
    /// Its waiting lines.
    pub waiting: usize,
    /// Its requests on the wire.
    pub in_flight: u32,
}

/// The waiting lines of hosts that an operator has paused, or that wait for a new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLines {
    /// The host with the most.
    pub host: Arc<str>,
    /// The number of its lines.
    pub lines: usize,
    /// These hosts.
    pub hosts: usize,
    /// The lines of all of them.
    pub all: usize,
}

impl HeldLines {
    /// Those of these hosts; `None` if there are none.
    pub(super) fn of<'a>(hosts: impl Iterator<Item = &'a Host> + Clone) -> Option<Self> {
        let hosts = hosts.filter(|host| host.waiting() > 0);
        let most = hosts.clone().max_by_key(|host| host.waiting())?;
        let (number, all) = (hosts.clone().count(), hosts.map(Host::waiting).sum());
        Some(Self { host: Arc::clone(&most.name), lines: most.waiting(), hosts: number, all })
    }
}

/// A query for hosts, and their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsQuery {
    /// Hosts with the most of this come first.
    pub sort: HostsBy,
    /// Only hosts in this state.
    pub status: Option<HostStatus>,
    /// Only hosts of this name.
    pub name: Option<NameFilter>,
    /// The most hosts.
    pub limit: usize,
}

/// The order of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostsBy {
    /// Waiting lines.
    Waiting,
    /// Requests on the wire.
    InFlight,
    /// Errors so far.
    Errors,
}

/// A filter of host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    /// This name, and its ports that patterns name.
    Exact(Arc<str>),
    /// Names that end in this: `.example.com` for `*.example.com`.
    Suffix(Arc<str>),
}

impl HostsQuery {
    /// The rank of a host in the order.
    pub fn rank(&self, host: &HostReport) -> u64 {
        match self.sort {
            HostsBy::Waiting => host.waiting as u64,
            HostsBy::InFlight => u64::from(host.in_flight),
            HostsBy::Errors => host.errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_a_host_has_the_number_of_its_place_and_a_name() {
        for (number, status) in HostStatus::ALL.into_iter().enumerate() {
            assert_eq!((status as usize, HostStatus::named(status.name())), (number, Some(status)));
        }
    }
}

//! What the schedule says to those who ask: how hosts are, and what holds a line back. Lengths of time are from now on.

use std::sync::Arc;
use std::time::Duration;

use super::wait_reason::WaitReason;
use crate::hosts::HostPattern;
use crate::item::ErrorKind;

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostStatus {
    /// It has no lines, and is remembered for what was learnt of it.
    Idle,
    /// It has lines on the wire, and none that wait.
    Busy,
    /// A line of it may start as far as the host is concerned.
    Ready,
    /// Its rate, its Crawl-delay, its concurrency or a back-off holds its next line.
    Limited,
    /// It asked for a pause (Retry-After, 429).
    Resting,
    /// Its quota is used up, or is to be found out.
    Quota,
    /// It waits for another token.
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

    /// The word for it.
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

    /// The one that this word names.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// How many hosts of the table are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounts(pub(super) [usize; HostStatus::ALL.len()]);

impl HostCounts {
    /// How many are in this one.
    pub fn of(&self, status: HostStatus) -> usize {
        self.0[status as usize]
    }
}

/// What goes on at one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    /// Its name, with its port where that makes it a host of its own.
    pub name: Arc<str>,
    /// Lines that wait there.
    pub waiting: usize,
    /// Requests on the wire.
    pub in_flight: u32,
    /// How it is.
    pub status: HostStatus,
    /// What limits it now.
    pub limits: LimitsInForce,
    /// When its next line starts, as far as that is known: zero for now; `None` where none waits, or something else must
    /// happen first.
    pub next_start: Option<Duration>,
    /// All that holds its next line back now; nothing if that waits only for the turns of others.
    pub causes: Vec<Cause>,
    /// Attempts that failed, and answers that asked for another attempt, since the host entered the table.
    pub errors: u64,
    /// The last of them.
    pub last_error: Option<LastError>,
}

/// The limits of a host now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsInForce {
    /// From one start to the next, whoever asked for it; zero for no limit.
    pub every: Duration,
    /// Whether that is the Crawl-delay of a robots.txt, the configuration's or an operator's.
    pub every_by: LimitBy,
    /// Requests on the wire at once.
    pub concurrency: u32,
    /// Who says so.
    pub concurrency_by: LimitBy,
}

/// Who set a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitBy {
    /// The configuration, or its default.
    Configuration,
    /// An operator.
    Override,
    /// It was found out (`adaptive`).
    Adaptive,
    /// A robots.txt.
    CrawlDelay,
}

/// The last that went wrong at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// Its kind.
    pub kind: ErrorKind,
    /// A sentence.
    pub message: Arc<str>,
    /// How long ago it was.
    pub ago: Duration,
}

/// One of the things that hold a line back now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What it is; its times are since the start of the run.
    pub reason: WaitReason,
    /// How long it still holds, if it ends by itself.
    pub left: Option<Duration>,
    /// What would change it, if anything does.
    pub remedy: Option<Remedy>,
}

/// What would change a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A key of the configuration.
    Key {
        /// Its name, `hosts.` standing for the table of the pattern.
        key: &'static str,
        /// The pattern whose table sets it for this host; `None` where none does.
        pattern: Option<HostPattern>,
    },
    /// The undoing of an operator's verb.
    Verb {
        /// `resume`, `limits --clear` or `skip --clear`.
        verb: &'static str,
        /// Its host; `None` for the whole run.
        host: Option<Arc<str>>,
    },
}

/// Why the next line of a host waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostWhy {
    /// Its name.
    pub host: Arc<str>,
    /// All that holds its next line back now; nothing if that waits only for the turns of others.
    pub causes: Vec<Cause>,
    /// Its lines that wait.
    pub waiting: usize,
    /// Its requests on the wire.
    pub in_flight: u32,
}

/// The lines that keep their places at paused hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PausedLines {
    /// The host with the most.
    pub host: Arc<str>,
    /// How many those are.
    pub lines: usize,
    /// The paused hosts with lines.
    pub hosts: usize,
    /// The lines of all of them.
    pub all: usize,
}

/// Which hosts are asked for, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsQuery {
    /// Those with the most of this come first.
    pub sort: HostsBy,
    /// In this state alone.
    pub status: Option<HostStatus>,
    /// Of this name alone.
    pub name: Option<NameFilter>,
    /// So many at most.
    pub limit: usize,
}

/// The order of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostsBy {
    /// Lines that wait.
    Waiting,
    /// Requests on the wire.
    InFlight,
    /// Errors so far.
    Errors,
}

/// A filter of host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    /// This name, and its ports that are hosts of their own.
    Exact(Arc<str>),
    /// Names that end in this: `.example.com` for `*.example.com`.
    Suffix(Arc<str>),
}

impl HostsQuery {
    /// How much a host has of what the order is by.
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

//! The display name of a bottleneck: the limit, its host, and the key or option that changes it.

use std::fmt;

use crate::schedule::{Bottleneck, BottleneckKind, LimitBy};
use crate::units::{counted, shortened};

/// The flags that the names of limits show; a limit without one is shown with its key.
#[derive(Clone, Debug, Default)]
pub enum LimitFlags {
    /// All: no file configures the run.
    #[default]
    All,
    /// Those that were given besides a configuration file.
    Given(Vec<&'static str>),
}

impl LimitFlags {
    fn has(&self, flag: &str) -> bool {
        match self {
            Self::All => true,
            Self::Given(flags) => flags.contains(&flag),
        }
    }
}

/// The name of a bottleneck in parts, so that the host can be shortened and the rest left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LimitName {
    before: String,
    host: String,
    after: &'static str,
    /// The key or option that changes the limit, and further details.
    rest: String,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, host, after, rest } = self;
        write!(f, "{before}{host}{after}{rest}")
    }
}

impl LimitName {
    /// The name of a limit of the whole run.
    fn of_run(name: impl Into<String>, rest: impl Into<String>) -> Self {
        Self { before: name.into(), rest: rest.into(), ..Self::default() }
    }

    /// The name without the key, with a host of at most `host_columns` columns.
    pub fn short(&self, host_columns: usize) -> String {
        format!("{}{}{}", self.before, shortened(&self.host, host_columns), self.after)
    }

    /// Only the host if there is one, in at most `columns` columns.
    pub fn host_alone(&self, columns: usize) -> String {
        if self.host.is_empty() { self.short(0) } else { shortened(&self.host, columns) }
    }

    /// The name for lines that wait for unreachable hosts.
    pub fn of_tail(hosts: usize, lines: usize, seconds: f64) -> Self {
        let verb = if lines == 1 { "waits" } else { "wait" };
        let (hosts, lines) = (counted(hosts as u64, "host"), counted(lines as u64, "line"));
        let name = format!("{hosts}, {lines} {verb} for health.give_up");
        Self::of_run(name, format!(", at most {} s more", seconds.ceil()))
    }

    /// The name of a bottleneck, or a whole statement ([`is_statement`]).
    #[expect(clippy::too_many_lines, reason = "a table with a row for each kind")]
    pub fn of(bottleneck: &Bottleneck, flags: &LimitFlags) -> Self {
        let Bottleneck { kind, port, limit, hosts, set_by, .. } = bottleneck;
        let (port, n) = (port.unwrap_or_default(), limit.unwrap_or_default());
        let full = |key: &str| {
            let (lines, hosts) = (counted(n.into(), "line"), counted(hosts.unwrap_or_default().into(), "host"));
            Self::of_run(key, format!(": {lines} of only {hosts}; mix the hosts of the input, or raise it"))
        };
        let host = |before: &str, after, rest: &str| Self {
            before: before.to_owned(),
            host: bottleneck.host.as_deref().unwrap_or_default().to_owned(),
            after,
            rest: rest.to_owned(),
        };
        // Flags apply to `*`, and have no effect if a more specific pattern sets the key.
        let key = |key: &str, flag: &str| match &bottleneck.pattern {
            _ if *set_by == LimitBy::Override => of_operator(bottleneck),
            Some(pattern) => format!("hosts.\"{pattern}\".{key}"),
            None if flags.has(flag) => flag.to_owned(),
            None if bottleneck.host.is_some() => format!("hosts.\"*\".{key}"),
            None => format!("limits.{key}"),
        };
        match kind {
            BottleneckKind::Input => Self::of_run("waiting for lines of the input", ""),
            BottleneckKind::Servers => Self::of_run("the last requests on the wire", ""),
            BottleneckKind::Concurrency => {
                Self::of_run("concurrency", format!(" ({})", key("concurrency", "--max-concurrency")))
            }
            BottleneckKind::Workers => Self::of_run("fetch.workers", ""),
            BottleneckKind::Window => full("queue.window"),
            BottleneckKind::WindowBytes => full("queue.window_bytes"),
            BottleneckKind::Adaptive => {
                Self::of_run("adaptive concurrency", " (limits.max_concurrency, or slow servers)")
            }
            BottleneckKind::OpenFiles => Self::of_run("open files or ports", " (ulimit -Hn)"),
            BottleneckKind::Rate => Self::of_run("rate", format!(" ({})", key("rate", "--rate"))),
            BottleneckKind::BodyMemory => Self::of_run("body memory", " (limits.body_memory)"),
            BottleneckKind::Sink => Self::of_run("the output", ""),
            BottleneckKind::Hosts => Self::of_run("hosts tracked at once", " (limits.hosts)"),
            BottleneckKind::HostConcurrency => {
                let key = key("concurrency", "--host-concurrency");
                host(&format!("host-concurrency {n} of "), "", &format!(" ({key})"))
            }
            BottleneckKind::HostRate => host("host-rate of ", "", &format!(" ({})", key("rate", "--host-rate"))),
            BottleneckKind::HostAdaptive => {
                let key = key("max_concurrency", "hosts.\"*\".max_concurrency");
                host("adaptive host-concurrency of ", "", &format!(" ({key}, or a slow server)"))
            }
            BottleneckKind::HostPause => host("the pause of ", "", " (Retry-After, 429)"),
            BottleneckKind::Quota => host("the quota of ", "", " (RateLimit headers; hosts.quota)"),
            BottleneckKind::CircuitOpen => host(&format!("port {port} of "), "", ", which cannot be reached (health)"),
            BottleneckKind::Robots => host("the robots.txt of ", "", ", which is not fetched yet (robots.enabled)"),
            BottleneckKind::RobotsUnavailable => {
                host("the robots.txt of ", "", ", which cannot be fetched (health.cool_down, health.give_up)")
            }
            BottleneckKind::CrawlDelay => host("the Crawl-delay of ", "", "'s robots.txt (robots.max_crawl_delay)"),
            BottleneckKind::Token => {
                let files = bottleneck.files.as_deref().unwrap_or_default();
                host("waiting for a new token of ", "", &format!(" in {files}"))
            }
            BottleneckKind::Backoff => host("retries of ", "", " (retry.backoff)"),
            BottleneckKind::Paused if bottleneck.host.is_some() => {
                let name = bottleneck.host.as_deref().unwrap_or_default();
                host("an operator's pause of ", "", &format!(" (fetchd ctl resume {name})"))
            }
            BottleneckKind::Paused => Self::of_run("paused by an operator", " (fetchd ctl resume)"),
        }
    }
}

/// Whether the name of a bottleneck is a whole statement, which "limited by" does not precede.
pub(super) fn is_statement(bottleneck: &Bottleneck) -> bool {
    match bottleneck.kind {
        BottleneckKind::Input | BottleneckKind::Token => true,
        BottleneckKind::Paused => bottleneck.host.is_none(),
        _ => false,
    }
}

/// The command that changes a limit which an operator has set.
fn of_operator(bottleneck: &Bottleneck) -> String {
    let option = match bottleneck.kind {
        BottleneckKind::Rate | BottleneckKind::HostRate => "--rate N/s",
        _ => "--concurrency N",
    };
    format!("set by an operator; fetchd ctl limits {} {option}", bottleneck.host.as_deref().unwrap_or("--all"))
}

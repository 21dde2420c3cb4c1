//! Looks at hosts and lines for those who ask, a few entries a turn: the table may have a million of them, and everybody waits
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::host_table::{AheadCount, Host};
use super::line_book::{HostId, LineId, Place};
use super::line_report::{LineAnswer, LineKey};
use super::overrides::HostOverrides;
use super::reports::{
    HostCounts, HostReport, HostStatus, HostWhy, HostsBy, HostsQuery, LastError, LimitBy, LimitsInForce, NameFilter,
};
use super::wait_reason::WaitReason;
use crate::units::Concurrency;

/// Entries looked at in one turn, at most.
pub const A_TURN: usize = 512;

/// Hosts that one answer has, at most.
pub const MOST_REPORTS: usize = 500;

/// A look at all hosts that goes on turn by turn.
#[derive(Debug)]
pub struct HostScan {
    query: HostsQuery,
    /// The place in the table where it goes on.
    next: HostId,
    /// Those with the most so far, by their rank; perhaps some more than are wanted.
    best: Vec<(u64, HostId)>,
    counts: HostCounts,
    matching: usize,
}

/// A look at all lines that goes on turn by turn.
#[derive(Debug)]
pub struct LineScan {
    /// The line.
    pub key: LineKey,
    /// The place in the book where it goes on.
    next: LineId,
    /// The line, once it is found, its place, and how far those are counted that start before it.
    found: Option<(LineId, Place, AheadCount)>,
    /// The number of the settled line where it goes on.
    settled: u64,
}

/// What one turn of a scan came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned<A> {
    /// There is more to look at; so many entries were touched.
    More(usize),
    /// This is the answer.
    Done(A),
}

impl HostScan {
    /// A look for these hosts, which also counts the states of all.
    pub fn new(query: HostsQuery) -> Self {
        let query = HostsQuery { limit: query.limit.min(MOST_REPORTS), ..query };
        Self { query, next: 0, best: Vec::new(), counts: HostCounts::default(), matching: 0 }
    }

    /// How many hosts are in which state, once it is done.
    pub fn counts(&self) -> HostCounts {
        self.counts
    }

    /// How many match, once it is done.
    pub fn matching(&self) -> usize {
        self.matching
    }

    fn note(&mut self, id: HostId, host: &Host, now: Duration) {
        let status = host.status(now);
        self.counts.0[status as usize] += 1;
        if !self.query.matches(&host.name, status) {
            return;
        }
        self.matching += 1;
        let rank = match self.query.sort {
            HostsBy::Waiting => host.waiting() as u64,
            HostsBy::InFlight => host.in_flight.into(),
            HostsBy::Errors => host.errors(),
        };
        self.best.push((rank, id));
        if self.best.len() >= 2 * self.query.limit.max(1) {
            self.keep_best();
        }
    }

    fn keep_best(&mut self) {
        self.best.sort_unstable_by(|one, other| other.cmp(one));
        self.best.truncate(self.query.limit);
    }
}

impl HostsQuery {
    /// The one host that it names, if it does.
    pub fn exact(&self) -> Option<&Arc<str>> {
        match &self.name {
            Some(NameFilter::Exact(name)) => Some(name),
            Some(NameFilter::Suffix(_)) | None => None,
        }
    }

    /// Whether the index of hosts by their lines answers it.
    fn is_of_index(&self) -> bool {
        self.sort == HostsBy::Waiting && self.status.is_none() && self.name.is_none()
    }

    fn matches(&self, name: &str, status: HostStatus) -> bool {
        let by_name = match &self.name {
            None => true,
            Some(NameFilter::Exact(exact)) => {
                name.strip_prefix(&**exact).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            }
            Some(NameFilter::Suffix(suffix)) => name.ends_with(&**suffix),
        };
        by_name && self.status.is_none_or(|wanted| wanted == status)
    }
}

impl Core {
    /// The answer to a query that needs no look at all hosts.
    pub fn hosts_at_once(&self, query: &HostsQuery, now: Duration) -> Option<Vec<HostReport>> {
        let limit = query.limit.min(MOST_REPORTS);
        if let Some(name) = query.exact() {
            let hosts = self.hosts_of(name).into_iter().map(|id| &self.hosts[id]);
            let matching = hosts.filter(|host| query.matches(&host.name, host.status(now)));
            return Some(matching.take(limit).map(|host| self.report(host, now)).collect());
        }
        let most = || self.hosts.by_waiting().take(limit).map(|host| self.report(host, now)).collect();
        query.is_of_index().then(most)
    }

    /// Looks at some more hosts.
    pub fn scan_hosts(&self, scan: &mut HostScan, now: Duration) -> Scanned<Vec<HostReport>> {
        let (from, end) = (scan.next, self.hosts.places());
        scan.next = end.min(from + A_TURN);
        for id in from..scan.next {
            self.hosts.get(id).into_iter().for_each(|host| scan.note(id, host, now));
        }
        if scan.next < end {
            return Scanned::More(scan.next - from);
        }
        scan.keep_best();
        // Some may have gone meanwhile, or become others.
        let hosts = scan.best.iter().filter_map(|(_, id)| self.hosts.get(*id));
        let matching = hosts.filter(|host| scan.query.matches(&host.name, host.status(now)));
        Scanned::Done(matching.map(|host| self.report(host, now)).collect())
    }

    /// What goes on at the host of this name.
    pub fn host_report(&self, name: &str, now: Duration) -> Option<HostReport> {
        self.hosts.find(name).map(|id| self.report(&self.hosts[id], now))
    }

    /// Why the next line of this host waits; `None` if the host has no lines.
    pub fn host_why(&self, name: &str, now: Duration) -> Option<HostWhy> {
        let host = self.hosts_of(name).into_iter().map(|id| &self.hosts[id]).find(|host| !host.is_idle())?;
        let causes = host.next_waiting().map(|line| self.causes(host, line, now)).unwrap_or_default();
        Some(HostWhy { host: Arc::clone(&host.name), causes, waiting: host.waiting(), in_flight: host.in_flight })
    }

    /// The limits that hold for the host of this name, whether it has lines or not, or for the run.
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
            // It begins with one.
            (None, Concurrency::Adaptive) => (1, LimitBy::Adaptive),
        };
        let every = rate.map_or(limits.every, |of_operator| of_operator.rate.every());
        LimitsInForce { every, every_by: set_by(rate.is_some()), concurrency, concurrency_by }
    }

    fn report(&self, host: &Host, now: Duration) -> HostReport {
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

    /// Begins a look for this line.
    pub fn look_for(&self, key: LineKey) -> LineScan {
        LineScan { key, next: 0, found: None, settled: 0 }
    }

    /// Whether this is an ordinal that the schedule has not come to.
    pub fn is_to_come(&self, key: &LineKey) -> bool {
        matches!(key, LineKey::Ordinal(ordinal) if *ordinal >= self.lines.accepted_so_far())
    }

    /// Looks at some more lines. A line that is not here may have left the schedule: what comes after it has to be asked.
    pub fn scan_lines(&self, scan: &mut LineScan, now: Duration) -> Scanned<Option<LineAnswer>> {
        let (from, end) = (scan.next, self.lines.places());
        scan.next = end.min(from + A_TURN);
        let found = || (from..scan.next).find(|line| self.lines.is(*line, &scan.key));
        if let Some(line) = scan.found.map(|(line, ..)| line).or_else(found) {
            return self.count_on(scan, line, now);
        }
        if scan.next < end {
            return Scanned::More(scan.next - from);
        }
        let from = scan.settled.max(self.lines.first_settled());
        let (is_here, to) = self.lines.is_settled(&scan.key, from, A_TURN);
        scan.settled = to;
        match is_here {
            true => Scanned::Done(Some(LineAnswer::WaitingForSink)),
            false if to < self.lines.end_of_settled() => Scanned::More(A_TURN),
            false => Scanned::Done(None),
        }
    }

    /// Goes on with the count of lines before the one that was found, unless it has gone meanwhile.
    fn count_on(&self, scan: &mut LineScan, line: LineId, now: Duration) -> Scanned<Option<LineAnswer>> {
        scan.next = self.lines.places();
        if !self.lines.is(line, &scan.key) {
            scan.found = None;
            return Scanned::More(1);
        }
        let place = self.lines.place_of(line);
        let counted = scan.found.filter(|(_, was, _)| *was == place);
        let mut count = counted.map(|(.., count)| count).unwrap_or_default();
        if let Some(answer) = self.line_answer(line, &mut count, now) {
            return Scanned::Done(Some(answer));
        }
        scan.found = Some((line, place, count));
        Scanned::More(A_TURN)
    }

    /// The answer; `None` if there are more lines before it to be counted.
    fn line_answer(&self, line: LineId, count: &mut AheadCount, now: Duration) -> Option<LineAnswer> {
        let ordinal = self.lines.ordinal(line);
        Some(match self.lines.place_of(line) {
            Place::OnWire { host, since } => LineAnswer::OnTheWire {
                ordinal,
                host: Arc::clone(&self.hosts[host].name),
                since: now.saturating_sub(since),
            },
            Place::Untracked => {
                let mut causes = self.run_causes(now);
                causes.push(self.cause(WaitReason::HostTable, None, now));
                LineAnswer::Waiting { ordinal, host: None, causes, ahead: 0 }
            }
            Place::Waiting { host, port, due } => {
                let host = &self.hosts[host];
                let causes = self.causes(host, host.waiting_line(ordinal, port, due), now);
                let ahead = host.queue.ahead(ordinal, port, due, now, count)?;
                LineAnswer::Waiting { ordinal, host: Some(Arc::clone(&host.name)), causes, ahead }
            }
        })
    }
}

impl Host {
    /// How it is.
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
            Some(WaitReason::Token { .. }) => HostStatus::Token,
            Some(WaitReason::CircuitOpen { .. }) => HostStatus::Unreachable,
            Some(WaitReason::Robots) => HostStatus::Robots,
            Some(WaitReason::Skipped) => HostStatus::Skipped,
            Some(_) => HostStatus::Limited,
        }
    }

    /// Attempts that failed, and answers that asked for another attempt.
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

//! Answers queries about hosts and lines, a few entries a turn: the table may have a million of them, and a scan blocks
//! the scheduler.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::host_table::{AheadCount, Host};
use super::line_book::{HostId, LineId, Place};
use super::line_report::{LineAnswer, LineKey};
use super::reports::{HostCounts, HostReport, HostStatus, HostsBy, HostsQuery, NameFilter};
use super::wait_reason::WaitReason;

/// The most entries that are scanned in one turn.
pub const A_TURN: usize = 512;

/// The most hosts in one answer.
pub const MOST_REPORTS: usize = 500;

/// A scan of all hosts, turn by turn.
#[derive(Debug)]
pub struct HostScan {
    query: HostsQuery,
    /// The next place in the table.
    next: HostId,
    /// The hosts with the highest rank so far; perhaps more than the limit.
    best: Vec<(u64, HostId)>,
    counts: HostCounts,
    matching: usize,
}

/// A scan of all lines, turn by turn.
#[derive(Debug)]
pub struct LineScan {
    /// The line.
    pub key: LineKey,
    /// The next place in the book.
    next: LineId,
    /// The line, once found, its place, and the count of lines that start before it.
    found: Option<(LineId, Place, AheadCount)>,
    /// The number of the next settled line.
    settled: u64,
}

/// The result of one turn of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned<A> {
    /// There are more entries; the number of those scanned in this turn.
    More(usize),
    /// The answer.
    Done(A),
}

impl HostScan {
    /// A scan for these hosts, which also counts the states of all.
    pub fn new(query: HostsQuery) -> Self {
        let query = HostsQuery { limit: query.limit.min(MOST_REPORTS), ..query };
        Self { query, next: 0, best: Vec::new(), counts: HostCounts::default(), matching: 0 }
    }

    /// The number of hosts in each state, once the scan is done.
    pub fn counts(&self) -> HostCounts {
        self.counts
    }

    /// The number of matching hosts, once the scan is done.
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
    /// The host name of the query, if it has one.
    pub fn exact(&self) -> Option<&Arc<str>> {
        match &self.name {
            Some(NameFilter::Exact(name)) => Some(name),
            Some(NameFilter::Suffix(_)) | None => None,
        }
    }

    /// Whether the index of hosts by lines suffices.
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
    /// The answer to a query that needs no scan of all hosts.
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

    /// Scans some more hosts.
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
        // Some may have left meanwhile, or their numbers belong to others.
        let hosts = scan.best.iter().filter_map(|(_, id)| self.hosts.get(*id));
        let matching = hosts.filter(|host| scan.query.matches(&host.name, host.status(now)));
        Scanned::Done(matching.map(|host| self.report(host, now)).collect())
    }

    /// Begins a scan for this line.
    pub fn look_for(&self, key: LineKey) -> LineScan {
        LineScan { key, next: 0, found: None, settled: 0 }
    }

    /// Whether no line of this ordinal is accepted yet.
    pub fn is_to_come(&self, key: &LineKey) -> bool {
        matches!(key, LineKey::Ordinal(ordinal) if *ordinal >= self.lines.accepted_so_far())
    }

    /// Scans some more lines. A line that is not here may have left the schedule: the caller then asks the next stages.
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

    /// Goes on with the count of lines before the one that was found, unless it has left meanwhile.
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

    /// The answer; `None` if more lines before it are to be counted.
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

//! Counts records by outcome and kind, and measures times on the wire. Stats are a sink after all others, so they count
//! the records that every sink has taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use hdrhistogram::Histogram;

use super::limit_name::LimitFlags;
use super::top_hosts::TopHosts;
use crate::error::BoxError;
use crate::hosts::{HostPattern, host_name, port_of};
use crate::item::{Durations, ErrorKind, LINE_TIMES, Outcome, Record, WaitedFor};
use crate::sink::Sink;

/// The counts of a run, which clones share, and the flags that views of the run name.
#[derive(Clone, Default)]
pub struct Stats {
    counts: Arc<Mutex<RecordCounts>>,
    flags: LimitFlags,
}

/// Records by outcome and error kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records by outcome; outcomes without records are absent.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Records by error kind; kinds without records are absent.
    pub kinds: BTreeMap<ErrorKind, u64>,
}

/// The counts and times.
#[derive(Clone)]
pub(super) struct RecordCounts {
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Records that are `ok` and unchanged since the earlier records in their lines.
    pub unchanged: u64,
    pub kinds: BTreeMap<ErrorKind, u64>,
    /// Records by outcome and error kind.
    pub results: BTreeMap<(Outcome, Option<ErrorKind>), u64>,
    /// Times from acceptance to settlement of lines with a valid URL.
    pub lines: Durations,
    /// Microseconds on the wire of lines with an attempt.
    pub wire: Histogram<u64>,
    /// Records that are not `ok` of durable lines that a round can fetch again, by kind, and by status if that is the
    /// error.
    pub remembered_not_ok: BTreeMap<(ErrorKind, Option<u16>), u64>,
    /// Statuses of records that are not `ok`.
    pub statuses: BTreeMap<u16, u64>,
    /// Hosts by number of records that are not `ok`.
    pub not_ok: TopHosts,
    /// Hosts by number of records that waited for a pause of the host longer than for all else.
    pub paused: TopHosts,
    /// The first few hosts whose Retry-After was longer than `retry.max_retry_after`.
    pub closed: BTreeSet<String>,
    /// Patterns of `[hosts]` without a matching request so far.
    pub unmatched: Vec<HostPattern>,
}

impl Default for RecordCounts {
    fn default() -> Self {
        let (outcomes, kinds, results, remembered_not_ok, statuses, not_ok, closed) = Default::default();
        // Two digits, from a microsecond to a day.
        let wire = Histogram::new_with_max(24 * 3600 * 1_000_000, 2);
        let wire = wire.unwrap_or_else(|_| unreachable!("two digits are within what the crate takes"));
        Self {
            outcomes,
            unchanged: 0,
            kinds,
            results,
            lines: Durations::new(&LINE_TIMES),
            wire,
            remembered_not_ok,
            statuses,
            not_ok,
            paused: TopHosts::default(),
            closed,
            unmatched: Vec::new(),
        }
    }
}

impl Stats {
    /// Stats that also track which of these patterns have no matching request.
    pub fn watching(patterns: impl Iterator<Item = HostPattern>, flags: LimitFlags) -> Self {
        let unmatched = patterns.filter(|pattern| *pattern != HostPattern::Any).collect();
        Self { counts: Arc::new(Mutex::new(RecordCounts { unmatched, ..RecordCounts::default() })), flags }
    }

    /// The flags that the names of limits show.
    pub(super) fn flags(&self) -> &LimitFlags {
        &self.flags
    }

    /// A copy of the counts.
    pub(super) fn counts(&self) -> RecordCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records by outcome and by error kind.
    pub fn tally(&self) -> Tally {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Tally { outcomes: counts.outcomes.clone(), kinds: counts.kinds.clone() }
    }

    /// Records of durable lines that are not `ok`, by kind, and by status if that is the error.
    pub fn remembered_not_ok(&self) -> BTreeMap<(ErrorKind, Option<u16>), u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remembered_not_ok.clone()
    }

    /// Whether there are records.
    pub fn has_records(&self) -> bool {
        !self.tally().outcomes.is_empty()
    }

    /// Records that are not `ok`.
    pub(super) fn not_ok(&self) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.outcomes.iter().filter(|(outcome, _)| **outcome != Outcome::Ok).map(|(_, n)| n).sum()
    }
}

impl Sink for Stats {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for record in batch {
            counts.add(record);
        }
        drop(counts);
        async { Ok(()) }.boxed()
    }
}

impl RecordCounts {
    fn add(&mut self, record: &Record) {
        const MOST_CLOSED: usize = 8;
        *self.outcomes.entry(record.outcome).or_default() += 1;
        *self.results.entry((record.outcome, record.kind())).or_default() += 1;
        if record.url.is_some() {
            self.lines.note(record.times.elapsed);
        }
        self.unchanged += u64::from(record.freshness.is_unchanged());
        self.match_patterns(record);
        if let Some(kind) = record.kind() {
            *self.kinds.entry(kind).or_default() += 1;
        }
        if record.outcome != Outcome::Ok {
            self.add_not_ok(record);
        }
        if let Some(url) = record.url.as_ref().filter(|_| record.times.waited_for == Some(WaitedFor::HostPause)) {
            self.paused.add(host_name(url));
        }
        if record.attempts > 0 {
            let wire = u64::try_from(record.times.wire.as_micros()).unwrap_or(u64::MAX);
            // Unlike `saturating_record`, this lets the histogram grow; times out of range are left out.
            let _ = self.wire.record(wire);
        }
        if record.kind() == Some(ErrorKind::RetryAfterTooLong)
            && self.closed.len() < MOST_CLOSED
            && let Some(url) = record.final_url.as_ref().or(record.url.as_ref())
        {
            self.closed.insert(host_name(url).to_owned());
        }
    }

    fn add_not_ok(&mut self, record: &Record) {
        let status = record.received.head().map(|head| head.status).or(record.hop_status).map(|status| status.as_u16());
        if let Some(kind) = record.kind().filter(|_| record.id.state_id.is_some() && record.page.is_none()) {
            let of_error = status.filter(|_| kind == ErrorKind::HttpStatus);
            *self.remembered_not_ok.entry((kind, of_error)).or_default() += 1;
        }
        if let Some(status) = status {
            *self.statuses.entry(status).or_default() += 1;
        }
        // A stop or an operator ended such lines, not their host.
        let is_of_host = record.outcome != Outcome::Canceled && record.kind() != Some(ErrorKind::Skipped);
        if let Some(url) = record.final_url.as_ref().or(record.url.as_ref()).filter(|_| is_of_host) {
            self.not_ok.add(host_name(url));
        }
    }

    fn match_patterns(&mut self, record: &Record) {
        if self.unmatched.is_empty() {
            return;
        }
        let hops = record.hops.iter().map(|hop| &hop.url);
        for url in record.url.iter().chain(&record.final_url).chain(hops) {
            self.unmatched.retain(|pattern| !pattern.matches(host_name(url), port_of(url)));
        }
    }
}

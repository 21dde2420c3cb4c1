//! The closing summary: results, times, and the limit that slowed the run down.

use std::fmt;
use std::time::Duration;

use super::Stats;
use super::connections::Connections;
use super::human::{human, per_second};
use super::limit_name::{LimitFlags, LimitName, is_statement};
use super::override_sentences::override_sentences;
use super::stats::RecordCounts;
use super::top_hosts::TopHosts;
use crate::item::Outcome;
use crate::pipeline::Status;
use crate::schedule::Bottleneck;
use crate::ship::Backlog;
use crate::units::{counted, grouped, in_bytes};

/// The summary of a run.
pub struct Summary {
    counts: RecordCounts,
    accepted: u64,
    /// Lines of the sources that earlier runs have done.
    done_before: u64,
    blank: u64,
    unread: u64,
    /// Whether `unread` is a lower bound.
    unread_at_least: bool,
    released: u64,
    left: u64,
    unrecorded: u64,
    elapsed: Duration,
    /// What held the run back for the longest time, as a clause, and the share of that time.
    limited_by: Option<(String, f64)>,
    connections: Connections,
    unshipped: Vec<Unshipped>,
    /// Sentences about overrides that still apply.
    overrides: Vec<String>,
}

/// The undelivered records of a sink that ships.
struct Unshipped {
    sink: String,
    segments: u64,
    bytes: u64,
    /// Records that the receiver refused.
    dead_letters: u64,
}

impl Summary {
    /// The summary of a run with this duration.
    pub fn of(status: &Status, stats: &Stats, elapsed: Duration) -> Self {
        let (counters, metrics) = (status.counters(), status.metrics());
        let most = |(bottleneck, share): (&Bottleneck, f64)| (limited_by(bottleneck, stats.flags()), share);
        let limited_by = status.view().bottleneck_times.most().filter(|_| counters.accepted.get() > 0).map(most);
        Self {
            counts: stats.counts(),
            accepted: counters.accepted.get(),
            done_before: status
                .sources()
                .iter()
                .filter_map(|source| source.known.as_ref())
                .map(|lines| lines.count())
                .sum(),
            blank: metrics.blank.get(),
            unread: metrics.unread.get(),
            unread_at_least: metrics.uncounted.get() > 0,
            released: counters.released.get(),
            left: counters.left.get(),
            unrecorded: counters.unfinished(),
            elapsed,
            limited_by,
            connections: status.connections().map(Connections::of).unwrap_or_default(),
            unshipped: unshipped(status),
            overrides: override_sentences(&status.view()),
        }
    }

    /// Logs the summary as one line.
    pub fn log(&self) {
        let outcome = |outcome| self.counts.outcomes.get(&outcome).copied().unwrap_or(0);
        let quantile = |q| self.counts.wire.value_at_quantile(q) as f64 / 1000.0;
        tracing::info!(
            event = "run_finished",
            lines = self.accepted,
            ok = outcome(Outcome::Ok),
            unchanged = Some(self.counts.unchanged).filter(|n| *n > 0),
            http_error = outcome(Outcome::HttpError),
            failed = outcome(Outcome::Failed),
            rejected = outcome(Outcome::Rejected),
            canceled = outcome(Outcome::Canceled),
            errors = self.errors(),
            statuses = self.statuses(),
            worst_hosts = hosts(&self.counts.not_ok),
            paused_hosts = hosts(&self.counts.paused),
            blank = self.blank,
            unread = self.unread,
            unread_at_least = self.unread_at_least.then_some(true),
            released = self.released,
            left = self.left,
            unrecorded = self.unrecorded,
            elapsed_s = self.elapsed.as_secs_f64(),
            wire_p50_ms = quantile(0.5),
            wire_p90_ms = quantile(0.9),
            wire_p99_ms = quantile(0.99),
            wire_max_ms = self.counts.wire.max() as f64 / 1000.0,
            connections_opened = self.connections.opened,
            connections_reused = self.connections.reused,
            tls_sessions_resumed = self.connections.resumed,
            closed_hosts = self.counts.closed.iter().cloned().collect::<Vec<_>>().join(" "),
            unmatched = self.unmatched(),
            unshipped_segments = self.sum_of_unshipped(|unshipped| unshipped.segments),
            unshipped_bytes = self.sum_of_unshipped(|unshipped| unshipped.bytes),
            dead_letters = self.sum_of_unshipped(|unshipped| unshipped.dead_letters),
            overrides = Some(self.overrides.join(" ")).filter(|text| !text.is_empty()),
            limited_by = self.limited_by.as_ref().map(|(clause, _)| clause.as_str()),
            "run finished"
        );
    }

    /// Lines whose record every sink has taken.
    fn recorded(&self) -> u64 {
        self.counts.outcomes.values().sum()
    }

    /// The lines with a record; of how many accepted lines, if some have none.
    fn amount(&self) -> String {
        match self.recorded() {
            recorded if recorded < self.accepted => {
                format!("{} of {}", grouped(recorded), counted(self.accepted, "line"))
            }
            _ => counted(self.accepted, "line"),
        }
    }

    /// The rate of records; where all lines were done before, that instead.
    fn speed(&self) -> String {
        if self.accepted == 0 && self.unread == 0 && self.done_before > 0 {
            let are = if self.done_before == 1 { "is" } else { "are" };
            let done = counted(self.done_before, "line");
            return format!(": the input had no new line; {done} {are} done by earlier runs");
        }
        let rate = self.recorded() as f64 / self.elapsed.as_secs_f64().max(0.001);
        format!(" ({}/s)", per_second(rate))
    }

    /// A sum over all sinks that ship; `None` if there are none.
    fn sum_of_unshipped(&self, number: impl Fn(&Unshipped) -> u64) -> Option<u64> {
        let is_shipped = !self.unshipped.is_empty();
        is_shipped.then(|| self.unshipped.iter().map(number).sum())
    }

    /// The patterns without a matching request; empty for a run without lines, or with lines that have no record.
    fn unmatched(&self) -> String {
        // Only records tell which hosts got requests.
        let is_known = self.accepted > 0 && self.left + self.unrecorded == 0;
        let patterns = self.counts.unmatched.iter().filter(|_| is_known);
        patterns.map(|pattern| format!("hosts.\"{pattern}\"")).collect::<Vec<_>>().join(" ")
    }

    fn outcomes(&self) -> String {
        let shown = Outcome::ALL.iter().filter_map(|outcome| {
            let n = grouped(*self.counts.outcomes.get(outcome)?);
            Some(match (outcome, self.counts.unchanged) {
                (Outcome::Ok, 1..) => format!("ok {n} ({} unchanged)", grouped(self.counts.unchanged)),
                _ => format!("{} {n}", outcome.name()),
            })
        });
        shown.collect::<Vec<_>>().join(" · ")
    }

    fn errors(&self) -> String {
        let mut kinds: Vec<_> = self.counts.kinds.iter().collect();
        kinds.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        kinds.iter().map(|(kind, n)| format!("{} {}", kind.name(), grouped(**n))).collect::<Vec<_>>().join(" · ")
    }

    /// The statuses of records that are not `ok`, the most frequent first.
    fn statuses(&self) -> String {
        const MOST: usize = 8;
        let mut statuses: Vec<_> = self.counts.statuses.iter().collect();
        statuses.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let shown = statuses.iter().take(MOST).map(|(status, n)| format!("{status} × {}", grouped(**n)));
        shown.collect::<Vec<_>>().join(" · ")
    }
}

/// The three hosts with the highest counts.
fn hosts(counts: &TopHosts) -> String {
    let hosts = counts.first(3);
    hosts.iter().map(|(host, n)| format!("{host} {}", grouped(*n))).collect::<Vec<_>>().join(" · ")
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} in {}{}", self.amount(), human(self.elapsed), self.speed())?;
        let outcomes = self.outcomes();
        if !outcomes.is_empty() {
            writeln!(f, "  outcomes     {outcomes}")?;
        }
        if !self.counts.kinds.is_empty() {
            writeln!(f, "  errors       {}", self.errors())?;
        }
        let rows = [
            ("statuses", self.statuses()),
            ("worst hosts", hosts(&self.counts.not_ok)),
            ("host pauses", hosts(&self.counts.paused)),
        ];
        for (title, text) in rows {
            if !text.is_empty() {
                writeln!(f, "  {title:<11}  {text}")?;
            }
        }
        if !self.counts.wire.is_empty() {
            let at = |q| human(Duration::from_micros(self.counts.wire.value_at_quantile(q)));
            let max = human(Duration::from_micros(self.counts.wire.max()));
            writeln!(f, "  on the wire  p50 {} · p90 {} · p99 {} · max {max}", at(0.5), at(0.9), at(0.99))?;
        }
        for sentence in &self.overrides {
            writeln!(f, "  override     {sentence}")?;
        }
        if self.connections.opened > 0 {
            writeln!(f, "  connections  {}", self.connections)?;
        }
        if let Some((clause, share)) = &self.limited_by {
            writeln!(f, "  {:.0} % of the time {clause}", share * 100.0)?;
        }
        self.write_hosts(f)?;
        self.write_leftovers(f)
    }
}

impl Summary {
    /// Writes the hosts that were closed, and the patterns that matched none.
    fn write_hosts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for host in &self.counts.closed {
            writeln!(
                f,
                "  {host} takes no requests for longer than retry.max_retry_after allows; its lines ended unsent"
            )?;
        }
        if !self.unmatched().is_empty() {
            writeln!(f, "  no request was for a host of {}", self.unmatched())?;
        }
        Ok(())
    }

    /// Writes the numbers of lines without records.
    fn write_leftovers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leftovers = [
            (self.blank, "blank line skipped", "blank lines skipped"),
            (self.left, "line waits for the next start", "lines wait for the next start"),
            (self.released, "line was given back to its source", "lines were given back to their sources"),
            (self.unrecorded, "accepted line has no record", "accepted lines have no record"),
        ];
        if self.unread > 0 {
            let at_least = if self.unread_at_least { "at least " } else { "" };
            let verb = if self.unread == 1 { "was" } else { "were" };
            writeln!(f, "  {at_least}{} {verb} not accepted before the stop", counted(self.unread, "line"))?;
        }
        for (n, one, many) in leftovers.into_iter().filter(|(n, ..)| *n > 0) {
            writeln!(f, "  {} {}", grouped(n), if n == 1 { one } else { many })?;
        }
        for Unshipped { sink, segments, bytes, dead_letters } in &self.unshipped {
            if *segments > 0 {
                let segments = counted(*segments, "segment");
                writeln!(f, "  {segments} of `{sink}` ({}) to be shipped by the next start", in_bytes(*bytes))?;
            }
            if *dead_letters > 0 {
                let records = counted(*dead_letters, "record");
                writeln!(
                    f,
                    "  {records} of `{sink}` refused, and kept in dead/{sink}.dead.jsonl of the data directory"
                )?;
            }
        }
        Ok(())
    }
}

fn unshipped(status: &Status) -> Vec<Unshipped> {
    let of = |backlog: &Backlog| {
        let (sink, lag, dead_letters) = (backlog.sink().to_owned(), backlog.lag(), backlog.dead_letters());
        Unshipped { sink, segments: lag.segments, bytes: lag.bytes, dead_letters }
    };
    status.backlogs().iter().map(of).collect()
}

/// The bottleneck, and the key or option that changes it.
fn limited_by(bottleneck: &Bottleneck, flags: &LimitFlags) -> String {
    let name = LimitName::of(bottleneck, flags);
    if is_statement(bottleneck) { name.to_string() } else { format!("limited by {name}") }
}

//! The status of a run: counters, metrics and the last view of the schedule. Progress and summary read it. Two decisions use
//! its counters: the shutdown counts unfinished lines, and the drain whether another record is to come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Events, Heartbeats, Lifecycle, Meters};
use crate::fetch::ConnectionCounts;
use crate::schedule::{
    Bottleneck, BottleneckKind, ClosedHost, Counts, Eta, InputEnd, OldestLine, Overrides, PausedLines, Tail, Totals,
    WaitingWork,
};
use crate::ship::Backlog;
use crate::sink::SinkView;
use crate::source::SourceView;

/// Written by the stages; read by the progress line and the summary, and from outside if it is [`Status::watched`].
#[derive(Clone, Debug, Default)]
pub struct Status {
    counters: Arc<Counters>,
    metrics: Arc<Metrics>,
    view: Arc<watch::Sender<View>>,
    closed_hosts: Arc<OnceLock<LeftHosts>>,
    backlogs: Arc<OnceLock<Vec<Backlog>>>,
    connections: Arc<OnceLock<Arc<ConnectionCounts>>>,
    meters: Arc<Meters>,
    heartbeats: Heartbeats,
    events: Events,
    lifecycle: Lifecycle,
}

/// The closed hosts for which a run ended.
#[derive(Clone, Debug)]
pub struct LeftHosts {
    /// The hosts, with their lines.
    pub hosts: Vec<ClosedHost>,
    /// The start of the clock on which they open.
    pub clock: Instant,
}

impl Status {
    /// That of a run at which an API or a service manager looks: requests and the turns of tasks are counted for them.
    pub fn watched() -> Self {
        Self { meters: Arc::new(Meters::watched()), heartbeats: Heartbeats::watched(), ..Self::default() }
    }

    /// The counters that control uses.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the scheduler last said.
    pub fn view(&self) -> watch::Ref<'_, View> {
        self.view.borrow()
    }

    /// The hosts for which the run ended, if it did for closed hosts.
    pub fn closed_hosts(&self) -> Option<&LeftHosts> {
        self.closed_hosts.get()
    }

    /// Says that the run ends for these hosts.
    pub fn leave_closed_hosts(&self, hosts: LeftHosts) {
        let _ = self.closed_hosts.set(hosts);
    }

    /// What the sinks have not shipped.
    pub fn backlogs(&self) -> &[Backlog] {
        self.backlogs.get().map_or(&[], Vec::as_slice)
    }

    /// The run has these sinks that ship.
    pub(super) fn watch_backlogs(&self, backlogs: Vec<Backlog>) {
        let _ = self.backlogs.set(backlogs);
    }

    /// The connections of the run, once it has begun, if its attempts open any.
    pub fn connections(&self) -> Option<&ConnectionCounts> {
        self.connections.get().map(Arc::as_ref)
    }

    /// The run counts its connections here.
    pub(super) fn watch_connections(&self, counts: Arc<ConnectionCounts>) {
        let _ = self.connections.set(counts);
    }

    /// What the parts of the run count, and show of themselves.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The sources of the run, once it has begun.
    pub fn sources(&self) -> Vec<SourceView> {
        self.meters.sources().map(|meter| meter.view()).collect()
    }

    /// The sinks of the run, once it has begun.
    pub fn sinks(&self) -> Vec<SinkView> {
        self.meters.sinks().map(|meter| meter.view()).collect()
    }

    /// Whether the tasks of the run turn.
    pub fn heartbeats(&self) -> &Heartbeats {
        &self.heartbeats
    }

    /// The last events.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// How far the run has come.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The scheduler says how it is.
    pub fn publish(&self, view: View) {
        self.view.send_replace(view);
    }
}

/// Counters of lines that shutdown and drain decide by.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines accepted.
    pub accepted: Counter,
    /// Lines whose record every sink has taken.
    pub recorded: Counter,
    /// Lines given back to their source without a record.
    pub released: Counter,
    /// Lines of durable sources that the end of the run leaves for the next start.
    pub left: Counter,
}

impl Counters {
    /// Lines accepted, and neither recorded, nor released, nor left for the next start.
    pub fn unfinished(&self) -> u64 {
        self.accepted.get().saturating_sub(self.recorded.get() + self.released.get() + self.left.get())
    }
}

/// Counters that are shown, and by which nothing in the pipeline decides.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Bytes of accepted lines, each with its line end.
    pub accepted_bytes: Counter,
    /// Blank lines skipped.
    pub blank: Counter,
    /// Lines not accepted when the run stopped: what is left of files, and what was read of other sources.
    pub unread: Counter,
    /// Whether the count of these was broken off.
    pub uncounted: Counter,
    /// Records other than `ok`.
    pub not_ok: Counter,
    /// Records `canceled`.
    pub canceled: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How the schedule is doing.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// When this was so.
    pub as_of: Option<Instant>,
    /// The same since the start of the run, as overrides count their ends.
    pub run_time: Duration,
    /// How many lines are where.
    pub counts: Counts,
    /// Lines accepted that the schedule has not taken in.
    pub queued: u64,
    /// The oldest unsettled line.
    pub oldest: Option<OldestLine>,
    /// When the run ended, as it looked then; `None` while the input has no end, or nothing is known of what a line takes.
    pub eta: Option<Eta>,
    /// Whether the input has an end.
    pub input: InputEnd,
    /// What the lines took that waited then; `None` if none did, or while nothing was known of that.
    pub waiting_work: Option<WaitingWork>,
    /// What holds the run back now.
    pub bottleneck: Option<Bottleneck>,
    /// What is left, if no line waits for anything but hosts that cannot be reached.
    pub tail: Option<Tail>,
    /// The lines that keep their places at hosts that an operator has paused.
    pub paused: Option<PausedLines>,
    /// Lines in the window.
    pub in_window: usize,
    /// Lines that it has room for.
    pub window: usize,
    /// What operators have changed.
    pub overrides: Arc<Overrides>,
    /// What held the run back so far, and for how long.
    pub bottleneck_times: BottleneckTimes,
    /// What only metrics show.
    pub totals: Totals,
}

impl View {
    /// When the run ends, as of now.
    pub fn eta(&self) -> Option<Eta> {
        Some(self.eta?.after(self.as_of?.elapsed()))
    }

    /// What held the run back so far, and for how long, as of now.
    pub fn bottleneck_times(&self) -> BottleneckTimes {
        let mut times = self.bottleneck_times.clone();
        if let Some((bottleneck, as_of)) = self.bottleneck.as_ref().zip(self.as_of) {
            times.note(bottleneck, as_of.elapsed());
        }
        times
    }

    /// For how long the oldest unsettled line has been accepted.
    pub fn oldest_age(&self) -> Option<Duration> {
        Some(self.oldest.as_ref()?.age + self.as_of?.elapsed())
    }

    /// What is left, as of now.
    pub fn tail(&self) -> Option<Tail> {
        let tail = self.tail.clone()?;
        Some(Tail { at_most: tail.at_most.saturating_sub(self.as_of?.elapsed()), ..tail })
    }
}

/// Time by kind of bottleneck, and the host that each kind lasted longest for.
#[derive(Clone, Debug, Default)]
pub struct BottleneckTimes {
    /// By the number of the kind.
    kinds: [KindTime; BottleneckKind::ALL.len()],
}

/// The time of one kind of bottleneck.
#[derive(Clone, Debug, Default)]
struct KindTime {
    spent: Duration,
    /// The one with the longest time, by a majority vote (Boyer and Moore): right if it has more than half of it.
    longest: Option<Bottleneck>,
    /// How far it is ahead of the others.
    lead: Duration,
}

impl BottleneckTimes {
    /// Notes that the run stood under this bottleneck for so long.
    pub fn note(&mut self, bottleneck: &Bottleneck, time: Duration) {
        let kind = &mut self.kinds[bottleneck.kind as usize];
        kind.spent += time;
        if kind.longest.as_ref() == Some(bottleneck) {
            kind.lead += time;
        } else if kind.longest.is_some() && kind.lead >= time {
            kind.lead -= time;
        } else {
            kind.lead = time - kind.lead;
            kind.longest = Some(bottleneck.clone());
        }
    }

    /// How long the run stood under bottlenecks of this kind.
    pub fn spent(&self, kind: BottleneckKind) -> Duration {
        self.kinds[kind as usize].spent
    }

    /// The kind of bottleneck that the run spent most of its time under, with its host, and its share.
    pub fn most(&self) -> Option<(&Bottleneck, f64)> {
        let total: Duration = self.kinds.iter().map(|kind| kind.spent).sum();
        let most = self.kinds.iter().filter(|kind| kind.longest.is_some()).max_by_key(|kind| kind.spent)?;
        Some((most.longest.as_ref()?, most.spent.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_of(host: &str) -> Bottleneck {
        Bottleneck { host: Some(host.into()), ..BottleneckKind::HostRate.into() }
    }

    #[test]
    fn the_kind_with_the_most_time_is_named_with_the_host_that_it_lasted_longest_for() {
        let mut times = BottleneckTimes::default();
        assert!(times.most().is_none());
        for (bottleneck, seconds) in [
            (rate_of("a.test"), 2),
            (BottleneckKind::Concurrency.into(), 5),
            (rate_of("b.test"), 5),
            (rate_of("c.test"), 1),
            (BottleneckKind::Input.into(), 2),
            (rate_of("b.test"), 1),
        ] {
            times.note(&bottleneck, Duration::from_secs(seconds));
        }
        assert_eq!(times.most(), Some((&rate_of("b.test"), 9.0 / 16.0)));
        assert_eq!(times.spent(BottleneckKind::Concurrency), Duration::from_secs(5));
    }

    #[test]
    fn each_kind_has_the_number_of_its_place() {
        for (number, kind) in BottleneckKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}

//! The status of a run: counters, metrics and the last view of the schedule. Progress and summary read it. Two stages
//! decide by its counters: the shutdown counts unfinished lines, and the drain checks whether more records are to come.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::counters::{Counters, LineCounts, Metrics};
use super::{Events, Heartbeats, Lifecycle, Meters};
use crate::fetch::ConnectionCounts;
use crate::schedule::{
    Bottleneck, BottleneckKind, ClosedHost, Counts, Eta, HeldLines, InputEnd, OldestLine, Overrides, Tail, Totals,
    WaitingWork,
};
use crate::ship::Backlog;
use crate::sink::SinkView;
use crate::source::SourceView;

/// The status of a run, written by the stages; the API reads it, too, if it is [`Status::watched`].
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

/// The closed hosts whose lines were the only ones left when a run ended.
#[derive(Clone, Debug)]
pub struct LeftHosts {
    /// The hosts, with their lines.
    pub hosts: Vec<ClosedHost>,
    /// The start of the clock that their opening times refer to.
    pub clock: Instant,
}

impl Status {
    /// The status of a run that an API or a service manager watches: requests and polls of tasks are counted.
    pub fn watched() -> Self {
        Self { meters: Arc::new(Meters::watched()), heartbeats: Heartbeats::watched(), ..Self::default() }
    }

    /// The counters that shutdown and drain decide by.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Accepted lines by where they are now.
    pub fn line_counts(&self) -> LineCounts {
        LineCounts::of(&self.counters, self.view().counts)
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The view that the scheduler published last.
    pub fn view(&self) -> watch::Ref<'_, View> {
        self.view.borrow()
    }

    /// The closed hosts, if the run ended because only their lines were left.
    pub fn closed_hosts(&self) -> Option<&LeftHosts> {
        self.closed_hosts.get()
    }

    /// Notes that the run ends because only lines of these hosts are left.
    pub fn leave_closed_hosts(&self, hosts: LeftHosts) {
        let _ = self.closed_hosts.set(hosts);
    }

    /// The backlogs of the sinks that ship.
    pub fn backlogs(&self) -> &[Backlog] {
        self.backlogs.get().map_or(&[], Vec::as_slice)
    }

    /// Sets the backlogs of the sinks that ship.
    pub(super) fn watch_backlogs(&self, backlogs: Vec<Backlog>) {
        let _ = self.backlogs.set(backlogs);
    }

    /// The connections of the run, once it has begun, if its attempts open any.
    pub fn connections(&self) -> Option<&ConnectionCounts> {
        self.connections.get().map(Arc::as_ref)
    }

    /// Sets where the run counts its connections.
    pub(super) fn watch_connections(&self, counts: Arc<ConnectionCounts>) {
        let _ = self.connections.set(counts);
    }

    /// The counts and views of the run's parts.
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

    /// The heartbeats of the run's tasks.
    pub fn heartbeats(&self) -> &Heartbeats {
        &self.heartbeats
    }

    /// The last events.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The lifecycle of the run.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Publishes a view of the schedule.
    pub fn publish(&self, view: View) {
        self.view.send_replace(view);
    }
}

/// A view of the schedule at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The time of the view.
    pub as_of: Option<Instant>,
    /// The same, since the start of the run; the ends of overrides are on this clock.
    pub run_time: Duration,
    /// Lines by state.
    pub counts: Counts,
    /// Lines accepted that the schedule has not received.
    pub queued: u64,
    /// The oldest unsettled line.
    pub oldest: Option<OldestLine>,
    /// The estimated end of the run; `None` while the input has no end, or the time per line is unknown.
    pub eta: Option<Eta>,
    /// Whether the input has an end.
    pub input: InputEnd,
    /// The time that the waiting lines take; `None` if no line waits, or the time is unknown.
    pub waiting_work: Option<WaitingWork>,
    /// The limit that holds the run back.
    pub bottleneck: Option<Bottleneck>,
    /// The lines left, if all of them wait for hosts that cannot be reached.
    pub tail: Option<Tail>,
    /// Waiting lines of hosts that an operator has paused.
    pub paused: Option<HeldLines>,
    /// Waiting lines of hosts without a token that they accept.
    pub token_waits: Option<HeldLines>,
    /// Lines in the window.
    pub in_window: usize,
    /// The capacity of the window in lines.
    pub window: usize,
    /// The operators' overrides.
    pub overrides: Arc<Overrides>,
    /// For how long each bottleneck held the run back so far.
    pub bottleneck_times: BottleneckTimes,
    /// Totals that only metrics show.
    pub totals: Totals,
}

impl View {
    /// Whether the window has no room for a line.
    pub fn is_window_full(&self) -> bool {
        self.window > 0 && self.in_window >= self.window
    }

    /// The estimated end of the run, as of now.
    pub fn eta(&self) -> Option<Eta> {
        Some(self.eta?.after(self.as_of?.elapsed()))
    }

    /// For how long each bottleneck held the run back, as of now.
    pub fn bottleneck_times(&self) -> BottleneckTimes {
        let mut times = self.bottleneck_times.clone();
        if let Some((bottleneck, as_of)) = self.bottleneck.as_ref().zip(self.as_of) {
            times.note(bottleneck, as_of.elapsed());
        }
        times
    }

    /// Time since the oldest unsettled line was accepted.
    pub fn oldest_age(&self) -> Option<Duration> {
        Some(self.oldest.as_ref()?.age + self.as_of?.elapsed())
    }

    /// The tail, as of now.
    pub fn tail(&self) -> Option<Tail> {
        let tail = self.tail.clone()?;
        Some(Tail { at_most: tail.at_most.saturating_sub(self.as_of?.elapsed()), ..tail })
    }
}

/// Time by kind of bottleneck, each with the host that it lasted longest for.
#[derive(Clone, Debug, Default)]
pub struct BottleneckTimes {
    /// Indexed by kind.
    kinds: [KindTime; BottleneckKind::ALL.len()],
}

/// The time of one kind of bottleneck.
#[derive(Clone, Debug, Default)]
struct KindTime {
    spent: Duration,
    /// The bottleneck with the longest time, by Boyer–Moore majority vote: correct if it has more than half of it.
    longest: Option<Bottleneck>,
    /// Its lead over all others in that vote.
    lead: Duration,
}

impl BottleneckTimes {
    /// Adds time that the run spent under a bottleneck.
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

    /// Time that the run spent under bottlenecks of this kind.
    pub fn spent(&self, kind: BottleneckKind) -> Duration {
        self.kinds[kind as usize].spent
    }

    /// The kind of bottleneck with the most time, with its host, and its share of the run.
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

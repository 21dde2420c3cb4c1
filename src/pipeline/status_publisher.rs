//! Publishes the core's view to the status, and saves the states of hosts, each at a bounded rate.

use std::time::Duration;

use tokio::time::Instant;

use super::run_limits::Outlook;
use super::status::BottleneckTimes;
use super::{Clock, Status, View};
use crate::schedule::{Bottleneck, BottleneckKind, Core, HostState};
use crate::state::{HostStateStore, LastRun};

/// The least time between two updates of the status.
const VIEW_EVERY: Duration = Duration::from_millis(200);

/// The most time between two looks at sinks that block.
const SINKS_EVERY: Duration = Duration::from_secs(600);

/// The least time between two saves of the states of hosts, which end in a file.
const HOSTS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct StatusPublisher {
    status: Status,
    /// Saves the states of hosts, in a durable run.
    hosts: Option<Box<dyn HostStateStore>>,
    bottleneck_times: BottleneckTimes,
    bottleneck: Bottleneck,
    since: Duration,
    /// The earliest time of the next update of the status.
    view_from: Duration,
    /// Whether the status is out of date.
    pub stale: bool,
    /// Since when every line is done, and records wait for sinks.
    only_sinks_since: Option<Duration>,
    /// When to look at sinks again.
    sinks_from: Option<Duration>,
    /// The earliest time of the next save of the states of hosts.
    hosts_from: Duration,
}

impl StatusPublisher {
    pub fn new(status: Status, hosts: Option<Box<dyn HostStateStore>>, clock: &Clock) -> Self {
        let (bottleneck_times, now) = (BottleneckTimes::default(), clock.now());
        let bottleneck = BottleneckKind::Input.into();
        Self {
            status,
            hosts,
            bottleneck_times,
            bottleneck,
            since: now,
            view_from: now + VIEW_EVERY,
            stale: true,
            only_sinks_since: None,
            sinks_from: None,
            hosts_from: now,
        }
    }

    /// The states of hosts that the previous run saved.
    pub fn load_hosts(&mut self) -> Vec<HostState> {
        self.hosts.as_mut().map(|hosts| hosts.load()).unwrap_or_default()
    }

    /// The end of the previous run, and its robots.txt files.
    pub fn load_last_run(&mut self) -> LastRun {
        self.hosts.as_mut().map(|hosts| hosts.load_last_run()).unwrap_or_default()
    }

    /// Saves the rules of new robots.txt files, before any request starts by them.
    pub fn save_robots(&mut self, core: &mut Core) {
        while let Some(known) = core.take_learnt_robots() {
            self.hosts.iter_mut().for_each(|hosts| hosts.save_robots(&known));
        }
    }

    /// Publishes changes that are due; returns the time of the next one, so that the last change is published, too.
    pub fn look(
        &mut self,
        core: &mut Core,
        outlook: impl FnOnce(&mut Core) -> Outlook,
        now: Duration,
    ) -> Option<Duration> {
        if (self.stale && now >= self.view_from) || self.sinks_from.is_some_and(|at| now >= at) {
            let outlook = outlook(core);
            self.publish_view(core, outlook, now);
        }
        if now >= self.hosts_from {
            self.save_hosts(core, now);
        }
        let view_at = self.stale.then_some(self.view_from);
        let hosts_at = self.has_changes(core).then_some(self.hosts_from);
        [view_at, hosts_at, self.sinks_from].into_iter().flatten().min()
    }

    /// While no request is on the wire and records wait, no event of the schedule shows whether sinks block: looks
    /// again, less and less often.
    fn look_at_sinks(&mut self, core: &Core, now: Duration) {
        let counts = core.counts();
        let only_sinks_work = counts.in_flight == 0 && self.status.counters().unfinished() > counts.waiting as u64;
        self.only_sinks_since = only_sinks_work.then(|| self.only_sinks_since.unwrap_or(now));
        let pause = |since: Duration| ((now - since) / 2).clamp(VIEW_EVERY, SINKS_EVERY);
        self.sinks_from = self.only_sinks_since.map(|since| now + pause(since));
    }

    /// Updates the status in this turn, because an operator who made a change reads it next.
    pub fn hurry(&mut self) {
        (self.view_from, self.stale) = (Duration::ZERO, true);
    }

    /// Publishes the last view and saves the last states, once no request is sent any more.
    pub fn publish(&mut self, core: &mut Core, outlook: Outlook, now: Duration) {
        self.publish_view(core, outlook, now);
        self.save_hosts(core, now);
        self.hosts.iter_mut().for_each(|hosts| hosts.end());
    }

    /// Publishes a view of the schedule now.
    pub fn publish_view(&mut self, core: &Core, outlook: Outlook, now: Duration) {
        self.bottleneck_times.note(&self.bottleneck, now - self.since);
        (self.since, self.view_from) = (now, now + VIEW_EVERY);
        self.stale = false;
        self.look_at_sinks(core, now);
        self.bottleneck = outlook.bottleneck;
        let totals = core.totals(now);
        self.status.publish(View {
            as_of: Some(Instant::now()),
            run_time: now,
            counts: core.counts(),
            queued: self.status.counters().accepted.get().saturating_sub(totals.taken),
            oldest: core.oldest(now),
            tail: (self.bottleneck.kind == BottleneckKind::CircuitOpen).then(|| core.tail(now)).flatten(),
            eta: outlook.eta,
            input: outlook.input,
            waiting_work: outlook.waiting_work,
            paused: core.paused_lines(),
            token_waits: core.lines_without_token(),
            in_window: outlook.in_window,
            window: outlook.window,
            overrides: core.overrides(),
            bottleneck: Some(self.bottleneck.clone()),
            bottleneck_times: self.bottleneck_times.clone(),
            totals,
        });
    }

    fn save_hosts(&mut self, core: &mut Core, now: Duration) {
        if self.has_changes(core)
            && let Some(hosts) = &mut self.hosts
        {
            self.hosts_from = now + HOSTS_EVERY;
            hosts.save(&core.host_states(now));
        }
    }

    /// Whether states of hosts are to be saved.
    fn has_changes(&self, core: &Core) -> bool {
        self.hosts.is_some() && core.has_host_state_changes()
    }
}

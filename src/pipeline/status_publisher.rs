//! Publishes the schedule's view to the status, and the states of hosts to the checkpoint, each at a bounded rate.

use std::time::Duration;

use super::schedule::Schedule;
use super::status::BottleneckTimes;
use super::{Clock, View};
use crate::schedule::{Bottleneck, BottleneckKind};

/// How often the status is brought up to date, at most.
const VIEW_EVERY: Duration = Duration::from_millis(200);

/// How often hosts in trouble are told of, at most: it ends in a file.
const HOSTS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct StatusPublisher {
    bottleneck_times: BottleneckTimes,
    bottleneck: Bottleneck,
    since: Duration,
    /// Whether the status is behind.
    pub stale: bool,
    /// From when on hosts in trouble may be told of.
    hosts_from: Duration,
}

impl StatusPublisher {
    pub fn new(clock: &Clock) -> Self {
        let (bottleneck_times, now) = (BottleneckTimes::default(), clock.now());
        Self { bottleneck_times, bottleneck: BottleneckKind::Input.into(), since: now, stale: true, hosts_from: now }
    }

    /// Publishes a change if it is time; otherwise says when it will be, so that the last change is seen, too.
    pub fn look(&mut self, schedule: &mut Schedule, input_open: bool, now: Duration) -> Option<Duration> {
        let view_at = self.since + VIEW_EVERY;
        if self.stale && now >= view_at {
            self.show(schedule, input_open, now);
        }
        if now >= self.hosts_from {
            self.tell(schedule, now);
        }
        let view_at = self.stale.then_some(view_at);
        let hosts_at = has_changes(schedule).then_some(self.hosts_from);
        [view_at, hosts_at].into_iter().flatten().min()
    }

    /// Publishes how it all ended.
    pub fn publish(&mut self, schedule: &mut Schedule, input_open: bool, now: Duration) {
        self.show(schedule, input_open, now);
        self.tell(schedule, now);
    }

    fn show(&mut self, schedule: &Schedule, input_open: bool, now: Duration) {
        self.bottleneck_times.note(&self.bottleneck, now - self.since);
        self.since = now;
        self.stale = false;
        self.bottleneck = schedule.bottleneck(now);
        if self.bottleneck.kind == BottleneckKind::Input && !input_open {
            self.bottleneck = BottleneckKind::Servers.into();
        }
        schedule.status.publish(View {
            counts: schedule.core.counts(),
            oldest: schedule.core.oldest(now),
            bottleneck: Some(self.bottleneck.clone()),
            bottleneck_times: self.bottleneck_times.clone(),
        });
    }

    fn tell(&mut self, schedule: &mut Schedule, now: Duration) {
        if has_changes(schedule)
            && let Some(hosts) = &mut schedule.hosts
        {
            self.hosts_from = now + HOSTS_EVERY;
            hosts.remember(&schedule.core.host_states(now));
        }
    }
}

/// Whether there is anything to tell of hosts, and somebody to tell.
fn has_changes(schedule: &Schedule) -> bool {
    schedule.hosts.is_some() && schedule.core.has_host_state_changes()
}

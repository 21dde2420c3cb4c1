//! What the schedule says of itself: to the board how it is doing, and to whoever remembers them which hosts are in
//! trouble; each seldom enough to cost nothing.

use std::time::Duration;

use super::board::HeldBack;
use super::schedule::Schedule;
use super::{Clock, View};
use crate::schedule::Limit;

/// How often the board is brought up to date, at most.
const VIEW_EVERY: Duration = Duration::from_millis(200);

/// How often hosts in trouble are told of, at most: it ends in a file.
const HOSTS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Publisher {
    held_back: HeldBack,
    limit: Limit,
    since: Duration,
    /// Whether the board is behind.
    pub stale: bool,
    /// From when on hosts in trouble may be told of.
    hosts_from: Duration,
}

impl Publisher {
    pub fn new(clock: &Clock) -> Self {
        let (held_back, now) = (HeldBack::default(), clock.now());
        Self { held_back, limit: Limit::Input, since: now, stale: true, hosts_from: now }
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
        let hosts_at = has_news(schedule).then_some(self.hosts_from);
        [view_at, hosts_at].into_iter().flatten().min()
    }

    /// Publishes how it all ended.
    pub fn publish(&mut self, schedule: &mut Schedule, input_open: bool, now: Duration) {
        self.show(schedule, input_open, now);
        self.tell(schedule, now);
    }

    fn show(&mut self, schedule: &Schedule, input_open: bool, now: Duration) {
        self.held_back.note(&self.limit, now - self.since);
        self.since = now;
        self.stale = false;
        self.limit = match schedule.limit(now) {
            Limit::Input if !input_open => Limit::Servers,
            limit => limit,
        };
        schedule.board.publish(View {
            counts: schedule.core.counts(),
            oldest: schedule.core.oldest(),
            limit: Some(self.limit.clone()),
            held_back: self.held_back.clone(),
        });
    }

    fn tell(&mut self, schedule: &mut Schedule, now: Duration) {
        if has_news(schedule)
            && let Some(hosts) = &mut schedule.hosts
        {
            self.hosts_from = now + HOSTS_EVERY;
            hosts.remember(&schedule.core.troubles(now));
        }
    }
}

/// Whether there is anything to tell of hosts, and somebody to tell.
fn has_news(schedule: &Schedule) -> bool {
    schedule.hosts.is_some() && schedule.core.has_news_of_troubles()
}

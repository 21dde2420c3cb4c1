//! Estimates when the run ends. The estimate is the longest of three times: the longest backlog of a host, the time
//! that all lines take under the limits of the run, and the time until the rest of the input is accepted.
//!
//! If hosts come mixed, each host gets the same share of the unread lines as of the lines so far. If lines come host by
//! host, or all are of one host so far, the hosts of unread lines are unknown: then the estimate covers only the lines
//! so far, and is a lower bound.

use std::time::Duration;

use super::Core;
use super::host_table::Host;
use super::input_order::InputOrder;
use super::line_book::HostId;
use super::pace::{Eta, HostPace, WaitingWork};
use super::wait_reason::WaitReason;

/// The factor of a lower bound that allows for averages that are too high.
const CERTAIN: f64 = 7.0 / 8.0;

/// The part of the input that is not accepted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ahead {
    /// The number of its lines, estimated from the length of the lines so far; 0 once the input has ended.
    pub lines: f64,
    /// Seconds until all are accepted, at the pace of the last minute.
    pub seconds: Option<f64>,
}

/// Whether the end of the input is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputEnd {
    /// The input has a size, or has ended; the default before the run begins.
    #[default]
    Known,
    /// The input has no known end: a pipe, a followed file, a source that accepts pushed lines.
    Unknown,
}

/// Whether the hosts of unread lines are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlook {
    Known,
    Unknown,
}

impl Core {
    /// Notes how much of the input is not accepted yet.
    pub fn expect(&mut self, ahead: Ahead) {
        self.ahead = ahead;
    }

    /// Whether the input is grouped by host.
    pub fn is_input_grouped(&self) -> bool {
        self.input.order() == InputOrder::Grouped
    }

    /// Estimates when the run ends; `None` while the cost of a line is unknown.
    pub fn eta(&self, now: Duration) -> Option<Eta> {
        let (eta, counts) = (self.known_eta(now), self.lines.counts());
        let is_known = !self.cost.is_unknown() || counts.waiting + counts.in_flight == 0;
        Some(eta).filter(|eta| is_known || !eta.left().is_zero())
    }

    fn known_eta(&self, now: Duration) -> Eta {
        let host = self.longest_host(now);
        if self.outlook() == Outlook::Unknown {
            let host = host.map_or(0.0, |(id, _)| self.at_least(id, now));
            let lines = self.lines.counts().waiting as f64 + CERTAIN * self.ahead.lines;
            return Eta::AtLeast(seconds(host.max(lines * self.settings.every.as_secs_f64())));
        }
        let host_seconds = host.map_or(0.0, |(_, seconds)| seconds);
        let left = host_seconds.max(self.run_seconds()).max(self.ahead.seconds.unwrap_or_default());
        let paused = self.run_orders().pause.map(|pause| pause.until.unwrap_or_default().saturating_sub(now));
        let left = left + paused.map_or(0.0, |pause| pause.as_secs_f64());
        if self.awaits_operator() {
            return Eta::AtLeast(seconds(left));
        }
        if host.is_some_and(|(id, _)| waits_for_unknown_time(&self.hosts[id])) {
            Eta::AtLeast(seconds(left))
        } else {
            Eta::About(seconds(left))
        }
    }

    /// The host whose lines are done last, and in how many seconds.
    pub(super) fn longest_host(&self, now: Duration) -> Option<(HostId, f64)> {
        let sends = self.hosts.backlogs.longest().map(|id| {
            let host = &self.hosts[id];
            (id, f64::from(host.backlog()) + self.later(host))
        });
        let held = self.hosts.backlogs.last_held().map(|(end, id)| {
            let host = &self.hosts[id];
            // Further lines of a port that was given up fail, too.
            let later = if is_unreachable(host) { 0.0 } else { self.later(host) };
            (id, end.saturating_sub(now).as_secs_f64() + later)
        });
        [sends, held].into_iter().flatten().max_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    /// Seconds that all lines take under the limits of the run.
    pub(super) fn run_seconds(&self) -> f64 {
        self.run_seconds_with(self.foreseen_lines())
    }

    /// The same with `ahead` unread lines.
    pub(super) fn run_seconds_with(&self, ahead: f64) -> f64 {
        let counts = self.lines.counts();
        let at_once = self.most_at_once();
        let busy = (self.work + ahead * f64::from(self.cost.wire())) / f64::from(at_once.max(1));
        let lines = (counts.waiting + counts.in_flight) as f64 + ahead;
        busy.max(lines * f64::from(self.cost.paced(self.settings.every)))
    }

    /// Seconds that the unread lines of this host take.
    fn later(&self, host: &Host) -> f64 {
        let since = self.input.lines().saturating_sub(host.arrivals.before).max(1);
        // A host that re-entered the table had more lines before.
        let share = (f64::from(host.arrivals.lines) / since as f64).min(self.input.most_of(host.arrivals.hash));
        self.foreseen_lines() * share * f64::from(host.line_seconds_with_pauses())
    }

    /// A lower bound of the seconds for this host's lines.
    fn at_least(&self, id: HostId, now: Duration) -> f64 {
        let host = &self.hosts[id];
        // Before the first line is done, only the rate is certain.
        let interval = host.rate_limiter.interval();
        let line = if host.cost.is_unknown() { interval.as_secs_f32() } else { host.line_seconds() };
        let sends = CERTAIN * host.waiting() as f64 * f64::from(line);
        let held = |(end, _): (Duration, HostId)| end.saturating_sub(now).as_secs_f64();
        let held = self.hosts.backlogs.last_held().filter(|(_, other)| *other == id).map(held);
        match (host.next_wait(), held) {
            // The host may recover at the next probe, its robots.txt at the next fetch.
            (Some(wait @ (WaitReason::CircuitOpen { .. } | WaitReason::Robots { .. })), Some(held)) => {
                held.min(until(wait, now) + sends)
            }
            (Some(wait), Some(_)) => until(wait, now) + sends,
            _ => sends,
        }
    }

    /// Unread lines, if their hosts are known.
    fn foreseen_lines(&self) -> f64 {
        if self.outlook() == Outlook::Known { self.ahead.lines } else { 0.0 }
    }

    fn outlook(&self) -> Outlook {
        match self.input.order() {
            _ if self.ahead.lines == 0.0 => Outlook::Known,
            InputOrder::Mixed => Outlook::Known,
            InputOrder::Grouped | InputOrder::Unknown => Outlook::Unknown,
        }
    }
}

impl Core {
    /// The work of the lines that wait now; `None` if no line waits, or while the cost of a line is unknown.
    pub fn waiting_work(&self, now: Duration) -> Option<WaitingWork> {
        let counts = self.lines.counts();
        let of_run = (self.run_seconds_with(0.0) > 0.0).then(|| WaitingWork {
            takes: Eta::About(seconds(self.run_seconds_with(0.0))),
            lines: counts.waiting + counts.in_flight,
            host: None,
            per_second: Some((counts.waiting + counts.in_flight) as f64 / self.run_seconds_with(0.0)),
        });
        let of_host = self.last_host(now).filter(|host| !host.backlog.is_zero()).map(|view| {
            let host = self.hosts.find(&view.name).map(|id| &self.hosts[id]);
            let is_held = |host: &Host| host.held_until(host.next_wait(), host.clocks(self.clock.read(now))).is_some();
            let lines = view.waiting + view.in_flight as usize;
            let per_second = host.is_some_and(|host| !is_held(host)).then(|| lines as f64 / view.backlog.as_secs_f64());
            let takes = match host {
                Some(host) if waits_for_unknown_time(host) => Eta::AtLeast(view.backlog),
                _ => Eta::About(view.backlog),
            };
            let per_second = per_second.filter(|_| matches!(takes, Eta::About(_)));
            WaitingWork { takes, lines, host: Some(view.name), per_second }
        });
        [of_run, of_host].into_iter().flatten().max_by_key(|work| (work.takes.left(), work.host.is_some()))
    }
}

impl Host {
    /// The pace of its lines under its limits.
    pub fn pace(&self) -> HostPace {
        let request = self.cost.request().map(Duration::from_secs_f32);
        let every = self.rate_limiter.interval();
        let is_known = request.is_some() || !every.is_zero();
        HostPace {
            request,
            every,
            at_once: self.concurrency(),
            lines: self.waiting() + self.in_flight as usize,
            takes: is_known.then(|| seconds(self.backlog().into())),
        }
    }
}

/// Whether nothing tells how long its lines wait: for a new token, or for a quota or pauses of which it had only one.
fn waits_for_unknown_time(host: &Host) -> bool {
    let is_known = host.pauses.as_ref().is_some_and(|pauses| pauses.are_known());
    match host.next_wait() {
        Some(WaitReason::Token { .. } | WaitReason::NoToken) => true,
        Some(WaitReason::Quota { .. } | WaitReason::HostPause { .. }) => !is_known,
        _ => false,
    }
}

fn is_unreachable(host: &Host) -> bool {
    matches!(host.next_wait(), Some(WaitReason::CircuitOpen { .. })) || host.robots_fails_at().is_some()
}

fn until(wait: WaitReason, now: Duration) -> f64 {
    wait.until().unwrap_or_default().saturating_sub(now).as_secs_f64()
}

/// Converts seconds to a duration of at most a century.
fn seconds(number: f64) -> Duration {
    Duration::from_secs_f64(number.clamp(0.0, 3.2e9))
}

//! Updates the backlogs of hosts: the seconds that each host takes for its lines. They change when a line enters or
//! leaves, when a request ends, and when the wait reason of the host changes.

use std::time::Duration;

use super::Core;
use super::host_table::{Backlog, Host};
use super::line_book::{HostId, LineId};
use super::stall_clock::Now;
use super::wait_reason::WaitReason;

impl Core {
    /// Notes that a line of the input came for this host.
    pub(super) fn note_arrival(&mut self, id: HostId) {
        let arrivals = &mut self.hosts[id].arrivals;
        arrivals.lines = arrivals.lines.saturating_add(1);
        self.input.note(arrivals.hash);
    }

    /// Notes the cost of a line: for this host if the line has left it, and for the run if it is settled.
    pub(super) fn note_cost(&mut self, id: HostId, line: LineId, wire: Duration, requests: u32) {
        let host = self.lines.host(line);
        if host != Some(id) && self.hosts.get(id).is_some() {
            let host = &mut self.hosts[id];
            host.cost.note(wire, requests);
            host.pauses.iter_mut().for_each(|pauses| pauses.note_line());
        }
        if host.is_none() {
            self.cost.note(wire, requests);
        }
    }

    /// Updates the backlog of a host; `wait` is what its next line waits for.
    pub(super) fn update_backlog(&mut self, id: HostId, wait: Option<WaitReason>, clocks: Now) {
        let host = &mut self.hosts[id];
        if let Some(WaitReason::HostPause { until } | WaitReason::Quota { until: Some(until) }) = wait
            && until > clocks.time
        {
            host.pauses.get_or_insert_default().note(until, clocks.time);
        }
        // The time of an operator's resume is unknown.
        let awaits_operator = awaits_operator(wait);
        let backlog = if (host.waiting() == 0 && host.in_flight == 0) || awaits_operator {
            Backlog::None
        } else {
            host.held_until(wait, clocks).map_or_else(|| Backlog::Sends(host.backlog()), Backlog::HeldUntil)
        };
        // Lines of a host that cannot be reached fail without a request.
        let is_unreachable = matches!(wait, Some(WaitReason::CircuitOpen { .. }));
        let work = if is_unreachable || awaits_operator { 0.0 } else { host.lines() * host.cost.wire() };
        self.work += f64::from(work) - f64::from(std::mem::replace(&mut host.work, work));
        self.hosts.backlogs.set(id, backlog);
    }
}

impl Host {
    /// Seconds from one of its lines to the next, without pauses.
    pub fn line_seconds(&self) -> f32 {
        self.cost.seconds(self.concurrency(), self.rate_limiter.interval())
    }

    /// The same with its share of the pauses.
    pub fn line_seconds_with_pauses(&self) -> f32 {
        self.line_seconds() + self.pauses.as_ref().map_or(0.0, |pauses| pauses.per_line())
    }

    /// Seconds that its lines take, those on the wire included.
    pub fn backlog(&self) -> f32 {
        self.lines() * self.line_seconds_with_pauses()
    }

    /// Lines that wait or are on the wire.
    fn lines(&self) -> f32 {
        self.waiting() as f32 + self.in_flight as f32
    }

    /// When the lines of a host that is held for now are done; those of an unreachable port fail together.
    pub fn held_until(&self, wait: Option<WaitReason>, now: Now) -> Option<Duration> {
        let until = match wait? {
            WaitReason::HostPause { until } | WaitReason::Backoff { until } => until,
            // A new token may come at any time before the end of that wait.
            WaitReason::Quota { until } | WaitReason::Paused { until } => until?,
            // Lines whose robots.txt stays unavailable fail together, like those of an open circuit.
            WaitReason::Robots { until: Some(until) } => match self.robots_fails_at() {
                Some(fails_at) => return Some(fails_at.max(now.time)),
                None => until,
            },
            wait if wait.is_of_pace() || wait == (WaitReason::Robots { until: None }) => {
                return Some(self.robots_fetched_again()?.fails_at.max(now.time));
            }
            WaitReason::CircuitOpen { .. } => {
                let left = self.queue.last_gives_up_at()?.saturating_sub(now.lines);
                return Some(now.time.saturating_add(left));
            }
            _ => return None,
        };
        if until <= now.time {
            return None;
        }
        // No pause follows directly on another, or on the last line.
        let paused = self.pauses.as_ref().map_or(0.0, |pauses| pauses.one() / 2.0);
        let backlog = Duration::from_secs_f32(rounded((self.backlog() - paused).max(0.0)));
        Some(until.saturating_add(backlog))
    }
}

/// Whether only an operator ends this wait.
pub(super) fn awaits_operator(wait: Option<WaitReason>) -> bool {
    matches!(wait, Some(WaitReason::Paused { until: None } | WaitReason::Skipped))
}

/// Rounds down to four mantissa bits, so that the index need not change with each line.
fn rounded(seconds: f32) -> f32 {
    f32::from_bits(seconds.min(1e9).to_bits() >> 19 << 19)
}

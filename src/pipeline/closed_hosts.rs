//! The end of a run in which only lines of closed hosts are left, and no others can come.

use std::time::Duration;

use super::run_limits::RunLimits;
use super::scheduler::Scheduler;
use super::{LeftHost, LeftUntil, Order};
use crate::schedule::{ClosedHost, Core, Opening};

impl Scheduler {
    /// Ends the run if only lines of closed hosts are left, and no others can come. Else the time to look again, where
    /// records that are still to be written may make room for others.
    pub(super) fn leave_closed_hosts(&mut self, now: Duration) -> Option<Duration> {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        let stop = self.stop.as_ref().filter(|stop| !stop.is_cancelled())?;
        let closed = self.core.only_closed_hosts(now)?;
        let accepted = self.status.counters().accepted.get();
        if !self.limits.is_blocked(&self.core, accepted, now) {
            return Some(now + LOOK_EVERY);
        }
        let left = |ClosedHost { name, lines, opens }| {
            let opens = match opens {
                Opening::At(at) => LeftUntil::Time(self.clock.instant(at)),
                Opening::WithToken(files) => LeftUntil::Token(files),
            };
            LeftHost { name, lines, opens }
        };
        self.status.leave_closed_hosts(closed.into_iter().map(left).collect());
        stop.cancel();
        None
    }
}

impl RunLimits {
    /// Whether no further line can come in before one of those that wait is done.
    pub fn is_blocked(&self, core: &Core, accepted: u64, now: Duration) -> bool {
        if !self.input_open {
            return true;
        }
        // In the order of the input, records behind the oldest line wait for it.
        let held = match (self.order, core.oldest(now)) {
            (Order::Input, Some(oldest)) => usize::try_from(accepted - oldest.ordinal).unwrap_or(usize::MAX),
            _ => core.counts().waiting,
        };
        self.window.full() == Some(held)
    }
}

//! The end of a run in which only lines of closed hosts are left, and no others can come.

use std::time::Duration;

use super::run_limits::{LookAgain, RunLimits};
use super::scheduler::Scheduler;
use super::{LeftHosts, Order};
use crate::schedule::Core;

impl Scheduler {
    /// Ends the run if only lines of closed hosts are left, and no others can come. Else when to look again.
    pub(super) fn leave_closed_hosts(&mut self, now: Duration) -> LookAgain {
        /// Records that are written make room for lines, and say nothing to the schedule.
        const WRITING: Duration = Duration::from_millis(100);
        let Some(stop) = self.stop.as_ref().filter(|stop| !stop.is_cancelled()) else { return LookAgain::Never };
        let Some(hosts) = self.core.only_closed_hosts(now) else { return LookAgain::Never };
        let accepted = self.status.counters().accepted.get();
        match self.limits.intake(&self.core, accepted, now) {
            Intake::Open => return LookAgain::WhenFull,
            Intake::Writing => return LookAgain::At(now + WRITING),
            Intake::Ended => {}
        }
        self.status.leave_closed_hosts(LeftHosts { hosts, clock: self.clock.instant(Duration::ZERO) });
        stop.cancel();
        LookAgain::Never
    }
}

/// Whether lines can come while those wait that do now.
enum Intake {
    /// They can.
    Open,
    /// Once records are written that are in their place.
    Writing,
    /// No more.
    Ended,
}

impl RunLimits {
    fn intake(&self, core: &Core, accepted: u64, now: Duration) -> Intake {
        if !self.input_open {
            return Intake::Ended;
        }
        let Some(lines) = self.window.full() else { return Intake::Open };
        // In the order of the input, records behind the oldest line wait for it.
        let held = match (self.order, core.oldest(now)) {
            (Order::Input, Some(oldest)) => usize::try_from(accepted - oldest.ordinal).unwrap_or(usize::MAX),
            _ => core.counts().waiting,
        };
        if lines == held { Intake::Ended } else { Intake::Writing }
    }
}

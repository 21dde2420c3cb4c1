//! Ends a run in which only lines of closed hosts are left and no other lines can come.

use std::time::Duration;

use super::run_limits::{LookAgain, RunLimits};
use super::scheduler::Scheduler;
use super::{LeftHosts, Order};
use crate::schedule::Core;

impl Scheduler {
    /// Ends the run if only lines of closed hosts are left and no others can come; else returns when to check again.
    pub(super) fn leave_closed_hosts(&mut self, now: Duration) -> LookAgain {
        /// The interval of checks while records are written, which makes room for lines without an event here.
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

/// Whether new lines can come while all unsettled lines wait.
enum Intake {
    /// They can.
    Open,
    /// They can once settled lines, which still fill the window, are written.
    Writing,
    /// They cannot.
    Ended,
}

impl RunLimits {
    fn intake(&self, core: &Core, accepted: u64, now: Duration) -> Intake {
        if !self.input_open {
            return Intake::Ended;
        }
        let Some(lines) = self.window.full() else { return Intake::Open };
        // In input order, the records of later lines wait for the oldest line.
        let held = match (self.order, core.oldest(now)) {
            (Order::Input, Some(oldest)) => usize::try_from(accepted - oldest.ordinal).unwrap_or(usize::MAX),
            _ => core.counts().waiting,
        };
        if lines == held { Intake::Ended } else { Intake::Writing }
    }
}

//! The changes of operators to one host.

use super::overrides::{HostOverrides, PauseOverride};
use super::wait_reason::WaitReason;

/// The changes of operators to one host.
#[derive(Debug, Default)]
pub(super) struct HostOrders {
    pub overrides: HostOverrides,
    /// Its lines below this ordinal are being skipped; no line starts meanwhile.
    pub skipped_below: Option<u64>,
}

impl HostOrders {
    /// The wait for an operator, if no line of the host may start.
    pub fn wait(&self) -> Option<WaitReason> {
        if self.skipped_below.is_some() {
            return Some(WaitReason::Skipped);
        }
        self.overrides.pause.map(|PauseOverride { until }| WaitReason::Paused { until })
    }
}

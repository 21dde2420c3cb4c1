//! What operators have changed of one host, as the host has it.

use super::overrides::{HostOverrides, PauseOverride};
use super::wait_reason::WaitReason;

/// What operators have changed of one host.
#[derive(Debug, Default)]
pub(super) struct HostOrders {
    pub overrides: HostOverrides,
    /// Its lines below this ordinal are being skipped, and nothing starts meanwhile.
    pub skipped_below: Option<u64>,
}

impl HostOrders {
    /// Why nothing of the host starts, if nothing does.
    pub fn wait(&self) -> Option<WaitReason> {
        if self.skipped_below.is_some() {
            return Some(WaitReason::Skipped);
        }
        self.overrides.pause.map(|PauseOverride { until }| WaitReason::Paused { until })
    }
}

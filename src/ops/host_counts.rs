//! How many hosts are in which state, as the schedule counted them last.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::late_desk::LateDesk;
use crate::schedule::HostCounts;

/// How long the schedule may take to count its hosts; then its last answer is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hosts by state, as they were counted last.
#[derive(Debug, Default)]
pub(super) struct LastHostCounts(Mutex<HostCounts>);

impl LastHostCounts {
    /// Has them counted; if that takes too long, or there is no schedule, they are as before.
    pub async fn read(&self, desk: &LateDesk) -> HostCounts {
        if let Ok(desk) = desk.get()
            && let Ok(Ok(counts)) = timeout(PATIENCE, desk.host_counts()).await
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

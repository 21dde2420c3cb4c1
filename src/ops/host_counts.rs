//! The number of hosts in each state, as the schedule last counted them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::late_desk::LateDesk;
use crate::schedule::HostCounts;

/// How long the schedule may take to count its hosts; after that, the last counts are used.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last counts of hosts by state.
#[derive(Debug, Default)]
pub(super) struct LastHostCounts(Mutex<HostCounts>);

impl LastHostCounts {
    /// New counts; the last ones if counting takes too long or there is no schedule.
    pub async fn read(&self, desk: &LateDesk) -> HostCounts {
        if let Ok(desk) = desk.get()
            && let Ok(Ok(counts)) = timeout(PATIENCE, desk.host_counts()).await
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

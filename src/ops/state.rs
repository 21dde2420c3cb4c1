//! The state that all handlers share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::history::History;
use super::host_counts::LastHostCounts;
use super::parts::ApiParts;

pub(super) struct ApiState {
    pub parts: ApiParts,
    pub health: Health,
    pub host_counts: LastHostCounts,
    history: Mutex<History>,
    /// Cancelled when the API ends.
    pub stop: CancellationToken,
}

impl ApiState {
    pub fn new(parts: ApiParts, stop: CancellationToken) -> Self {
        let (health, history) = (Health::of(&parts.status), Mutex::new(History::new()));
        Self { health, host_counts: LastHostCounts::default(), history, parts, stop }
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the handlers share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::history::History;
use super::parts::ApiParts;

/// See the module.
pub(super) struct ApiState {
    pub parts: ApiParts,
    pub health: Health,
    history: Mutex<History>,
    /// Cancelled when the API ends.
    pub stop: CancellationToken,
}

impl ApiState {
    pub fn new(parts: ApiParts, stop: CancellationToken) -> Self {
        Self { health: Health::of(&parts.status), history: Mutex::new(History::new()), parts, stop }
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

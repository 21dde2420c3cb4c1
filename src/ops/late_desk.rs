//! The desk of the schedule, as the API has it: it is there once the run has begun.

use std::sync::{Arc, OnceLock};

use http::StatusCode;

use super::answer::Failure;
use crate::pipeline::Desk;

/// See the module; clones share it.
#[derive(Clone, Debug, Default)]
pub struct LateDesk(Arc<OnceLock<Desk>>);

impl LateDesk {
    /// From now on the schedule can be asked.
    pub fn begin(&self, desk: Desk) {
        let _ = self.0.set(desk);
    }

    /// # Errors
    /// 503 while there is none.
    pub(super) fn get(&self) -> Result<&Desk, Failure> {
        self.0.get().ok_or_else(|| {
            let message = "the run is still starting, so there is no schedule to ask; try again once /readyz says that it is ready";
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }
}

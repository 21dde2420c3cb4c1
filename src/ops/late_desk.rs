//! The schedule's desk for questions, which the API gets once the run has begun.

use std::sync::{Arc, OnceLock};

use http::StatusCode;

use super::answer::Failure;
use crate::pipeline::Desk;

/// The desk, once there is one; clones share it.
#[derive(Clone, Debug, Default)]
pub struct LateDesk(Arc<OnceLock<Desk>>);

impl LateDesk {
    /// Sets the desk, so that the schedule can be asked.
    pub fn begin(&self, desk: Desk) {
        let _ = self.0.set(desk);
    }

    /// # Errors
    /// 503 before the run has begun.
    pub(super) fn get(&self) -> Result<&Desk, Failure> {
        self.0.get().ok_or_else(|| {
            let message =
                "the run is still starting, so there is no schedule to ask; try again once /readyz answers 200";
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }
}

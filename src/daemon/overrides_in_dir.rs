//! Stores overrides in the data directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::error::BoxError;
use crate::schedule::Overrides;
use crate::state::{ClockReading, load_overrides, save_overrides};

/// The locked data directory of a run, as the store of overrides.
#[derive(Clone)]
pub(super) struct OverridesDir {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
}

impl OverridesDir {
    /// Loads the overrides of the previous run, as of the start of this one.
    ///
    /// # Errors
    /// The overrides cannot be read.
    pub fn load(&self) -> Result<Overrides, BoxError> {
        load_overrides(self.disk.as_ref(), &self.dir, ClockReading::now(Duration::ZERO))
    }

    /// Saves overrides.
    ///
    /// # Errors
    /// The overrides could not be saved; the previous ones remain.
    pub fn save(&self, overrides: &Overrides, now: Duration) -> Result<(), BoxError> {
        save_overrides(self.disk.as_ref(), &self.dir, overrides, ClockReading::now(now))
    }
}

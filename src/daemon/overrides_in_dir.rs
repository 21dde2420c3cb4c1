//! Where the overrides of a run with a data directory are kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::error::BoxError;
use crate::schedule::Overrides;
use crate::state::{ClockReading, load_overrides, save_overrides};

/// The data directory of a run, which has locked it.
#[derive(Clone)]
pub(super) struct OverridesDir {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
}

impl OverridesDir {
    /// Those that the run before left, as of the start of this one.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn load(&self) -> Result<Overrides, BoxError> {
        load_overrides(self.disk.as_ref(), &self.dir, ClockReading::now(Duration::ZERO))
    }

    /// Keeps these.
    ///
    /// # Errors
    /// When they are not kept; those before are.
    pub fn save(&self, overrides: &Overrides, now: Duration) -> Result<(), BoxError> {
        save_overrides(self.disk.as_ref(), &self.dir, overrides, ClockReading::now(now))
    }
}

//! `[state]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::Size;

/// `[state]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// Where a run leaves what the next one needs; without it every run begins anew.
    pub data_dir: Option<PathBuf>,
    /// With less room than this on its disk, journals take no more lines.
    pub min_free: Size,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { data_dir: None, min_free: Size::mib(256) }
    }
}

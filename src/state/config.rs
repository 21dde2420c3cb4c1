//! `[state]`

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{overrides, robots_log};
use crate::disk::resolved;
use crate::units::Size;

/// The files and directories of a data directory, besides the robots log and the overrides.
const OWN: [&str; 7] = ["checkpoint.json", "checkpoint.new", "lock", "journal", "rounds", "staging", "dead"];

/// `[state]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// The directory of durable state; without it every run starts afresh.
    pub data_dir: Option<PathBuf>,
    /// Journals accept no more lines if less disk space than this is free.
    pub min_free: Size,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { data_dir: None, min_free: Size::mib(256) }
    }
}

impl StateConfig {
    /// Whether a file belongs to the data directory.
    pub fn has(&self, file: &Path) -> bool {
        let file = resolved(file);
        let mut own = OWN.iter().chain(&robots_log::NAMES).chain(&overrides::NAMES);
        self.data_dir.iter().any(|dir| own.any(|own| file.starts_with(resolved(&dir.join(own)))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::state::DataDir;

    #[test]
    fn every_file_that_a_run_leaves_in_its_data_directory_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let config = StateConfig { data_dir: Some(dir.path().to_owned()), ..StateConfig::default() };
        let state = DataDir::open(Arc::new(RealDisk), dir.path()).unwrap();
        state.save(&state.checkpoint, &[]).unwrap();
        let left = RealDisk.list(dir.path()).unwrap();
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|file| config.has(file)), "{left:?}");
        assert!(config.has(&dir.path().join("journal/urls/00000000000000000001.lines")));
        assert!(config.has(&dir.path().join("rounds/2")));
        assert!(config.has(&dir.path().join("staging/hook-000001.jsonl")));
        assert!(config.has(&dir.path().join("dead/hook.dead.jsonl")));
        assert!(!config.has(&dir.path().join("results.jsonl")));
    }
}

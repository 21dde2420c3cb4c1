//! The generations of all paths of a source, as the checkpoint has them: its `position`. They are saved when one is seen,
//! and when the first line of one is numbered, before that line goes on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::generation::Generation;
use super::labels;
use super::tailer::Tailer;
use crate::error::BoxError;
use crate::item::{RawJson, SavePosition};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct GenerationStore {
    saved: Saved,
    /// Without a data directory there is none.
    save: Option<Box<dyn SavePosition>>,
}

/// What the checkpoint has. What a later version added is dropped.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// By label, from the oldest to the newest.
    generations: BTreeMap<String, Vec<Generation>>,
    /// By label, the path without links and detours.
    #[serde(default)]
    paths: BTreeMap<String, String>,
}

impl GenerationStore {
    /// What earlier runs have saved; nothing, if they did not yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(position: Option<&RawJson>, save: Box<dyn SavePosition>) -> Result<Self, BoxError> {
        let saved = position.map(RawJson::read).transpose().map_err(|error| {
            format!("the checkpoint is damaged: the position of a source of files cannot be read ({error})")
        })?;
        Ok(Self { saved: saved.unwrap_or_default(), save: Some(save) })
    }

    /// The same, of which changes are not saved.
    pub fn unsaved(&self) -> Self {
        Self { saved: self.saved.clone(), save: None }
    }

    /// The generations of the path with this label, from the oldest to the newest.
    pub fn get(&self, label: &str) -> &[Generation] {
        self.saved.generations.get(label).map_or(&[], Vec::as_slice)
    }

    /// By label, the path that it stands for.
    pub fn paths(&self) -> &BTreeMap<String, String> {
        &self.saved.paths
    }

    /// Saves what these have seen since the last time.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    pub fn update<'a>(&mut self, tailers: impl IntoIterator<Item = &'a mut Tailer>) -> Result<(), BoxError> {
        let mut is_changed = false;
        for tailer in tailers {
            let Some(generations) = tailer.changes() else { continue };
            let (label, path) = (tailer.label().into_owned(), labels::plain(tailer.path()));
            is_changed |= self.saved.paths.insert(label.clone(), path.clone()) != Some(path);
            is_changed |= self.saved.generations.insert(label, generations.clone()) != Some(generations);
        }
        match &mut self.save {
            Some(save) if is_changed => save.save(RawJson::of(&self.saved)?),
            _ => Ok(()),
        }
    }
}

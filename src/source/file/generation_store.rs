//! The generations of all paths of a source, which are the source's `position` in the checkpoint. They are saved when a
//! generation is first seen, and when its first line is numbered, before that line is yielded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::generation::Generation;
use super::labels;
use super::tailer::Tailer;
use crate::error::BoxError;
use crate::item::{RawJson, SavePosition};

/// Saves the generations of a source.
#[derive(Debug, Default)]
pub(super) struct GenerationStore {
    saved: Saved,
    /// Absent without a data directory.
    save: Option<Box<dyn SavePosition>>,
}

/// The position in the checkpoint. Fields of later versions are dropped.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// By label, from the oldest to the newest.
    generations: BTreeMap<String, Vec<Generation>>,
    /// By label, the resolved path.
    #[serde(default)]
    paths: BTreeMap<String, String>,
}

impl GenerationStore {
    /// The generations that earlier runs saved, if any.
    ///
    /// # Errors
    /// When the saved position cannot be parsed.
    pub fn new(position: Option<&RawJson>, save: Box<dyn SavePosition>) -> Result<Self, BoxError> {
        let saved = position.map(RawJson::read).transpose().map_err(|error| {
            format!("the checkpoint is damaged: the position of a source of files cannot be read ({error})")
        })?;
        Ok(Self { saved: saved.unwrap_or_default(), save: Some(save) })
    }

    /// A copy whose changes are not saved.
    pub fn unsaved(&self) -> Self {
        Self { saved: self.saved.clone(), save: None }
    }

    /// The generations of the path with this label, from the oldest to the newest.
    pub fn get(&self, label: &str) -> &[Generation] {
        self.saved.generations.get(label).map_or(&[], Vec::as_slice)
    }

    /// The resolved paths, by label.
    pub fn paths(&self) -> &BTreeMap<String, String> {
        &self.saved.paths
    }

    /// Saves the changed generations of these tailers.
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

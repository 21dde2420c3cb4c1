//! Opens the paths of a source as followed or resumable files, and new files that its patterns match. Next: `tailer`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::generation_store::GenerationStore;
use super::labels::Labels;
use super::tailer::Tailer;
use super::{BATCH, File, ReadOptions, Until, glob};
use crate::error::{AtPath, BoxError};
use crate::item::DoneRanges;
use crate::source::SavedState;

/// Opens the paths of one source.
pub(super) struct Opener {
    paths: Vec<PathBuf>,
    source: Option<Arc<str>>,
    state_id: Option<Arc<str>>,
    is_labelled: bool,
    labels: Labels,
    /// By label, the lines that are done.
    done: BTreeMap<String, DoneRanges>,
    /// The generations of earlier runs.
    saved: GenerationStore,
    until: Until,
    max_line: usize,
    /// How many waiting files of each path are held open.
    held: usize,
    opened: BTreeSet<PathBuf>,
    /// Files that could not be opened.
    failed: BTreeSet<PathBuf>,
}

impl Opener {
    /// An opener for the paths of `config`, with the saved state.
    ///
    /// # Errors
    /// When the saved state cannot be parsed, or `max_line` does not fit into the address space.
    pub fn new(config: &File, source: Option<Arc<str>>, saved: Option<SavedState>) -> Result<Self, BoxError> {
        let state_id = saved.as_ref().map(|saved| Arc::clone(&saved.state_id));
        let is_labelled = saved.is_some() || config.is_labelled();
        let rotate_wait = config.rotate_wait.0;
        let (done, saved) = match saved {
            Some(saved) => (saved.files, GenerationStore::new(saved.position.as_ref(), saved.save_position)?),
            None => (BTreeMap::new(), GenerationStore::default()),
        };
        Ok(Self {
            paths: config.paths.clone(),
            source,
            state_id,
            is_labelled,
            labels: Labels::new(done.keys(), saved.paths()),
            done,
            saved,
            until: if config.follow { Until::Stopped { rotate_wait } } else { Until::End { changed: config.changed } },
            max_line: usize::try_from(config.max_line.0)?,
            held: config.held(),
            opened: BTreeSet::new(),
            failed: BTreeSet::new(),
        })
    }

    /// Opens these paths, and registers their files.
    ///
    /// # Errors
    /// When a path cannot be opened or the checkpoint cannot be written.
    pub fn open_all(&mut self, paths: Vec<PathBuf>) -> Result<(Vec<Tailer>, GenerationStore), BoxError> {
        let mut tailers = paths.into_iter().map(|path| self.open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut store = std::mem::take(&mut self.saved);
        self.saved = store.unsaved();
        store.update(&mut tailers)?;
        Ok((tailers, store))
    }

    fn open(&mut self, path: PathBuf) -> Result<Tailer, AtPath> {
        let label = if self.state_id.is_some() { self.labels.of(&path) } else { path.to_string_lossy().into_owned() };
        let options = ReadOptions {
            state_id: self.state_id.clone(),
            source: self.source.clone(),
            file: self.is_labelled.then(|| label.as_str().into()),
            until: self.until,
            max_line: self.max_line,
            held: self.held,
            batch: BATCH,
            path: path.clone(),
        };
        let done = self.done.get(&label).cloned().unwrap_or_default();
        let tailer = Tailer::open(options, done, self.saved.get(&label)).map_err(|error| AtPath::new(&path, error))?;
        self.opened.insert(path);
        Ok(tailer)
    }

    /// Opens new files that match the patterns.
    pub fn search(&mut self) -> Vec<Tailer> {
        let mut new = glob::all(&self.paths);
        new.retain(|path| !self.opened.contains(path));
        new.into_iter().filter_map(|path| self.try_to_open(path)).collect()
    }

    fn try_to_open(&mut self, path: PathBuf) -> Option<Tailer> {
        match self.open(path.clone()) {
            Ok(tailer) => Some(tailer),
            Err(error) => {
                if self.failed.insert(path) {
                    tracing::warn!(event = "file_not_opened", "cannot open {error}; retrying");
                }
                None
            }
        }
    }
}

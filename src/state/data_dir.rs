//! The data directory, which one process locks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checkpoint, OpenRound};
use crate::disk::{Disk, DiskFile, Mark, Mode, OutputPosition, SyncPoint, retry_while_full};
use crate::error::{AtPath, BoxError};
use crate::item::{DoneRanges, Identity, RawJson};
use crate::rounds::{RoundList, Selection, remove_other_lists};

/// The error for an unusable data directory.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}; it has to be a directory that fetchd can write to: mend it, or name another with `--data-dir` or `state.data_dir`"
)]
struct Unusable(#[source] AtPath);

/// An open data directory, and its checkpoint.
#[derive(Debug)]
pub struct DataDir {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The path.
    pub dir: PathBuf,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The list of the open round.
    pub list: Option<RoundList>,
    /// Whether the directory had a checkpoint when it was opened.
    pub(super) had_checkpoint: bool,
    pub(super) lock: Arc<dyn DiskFile>,
}

impl DataDir {
    /// Opens a data directory, and creates it if missing.
    ///
    /// # Errors
    /// When the directory cannot be read or written, another process has locked it, or the list of an open round is
    /// missing.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, BoxError> {
        let at = |error| Unusable(AtPath::new(dir, error));
        disk.create_dir(dir).map_err(at)?;
        keep_name(disk.as_ref(), dir).map_err(at)?;
        let lock = disk.open(&dir.join("lock"), Mode::Append).map_err(at)?;
        if !lock.try_lock().map_err(at)? {
            let dir = dir.display();
            return Err(format!(
                "another fetchd is using {dir}; stop it first, or give this one a data directory of its own"
            )
            .into());
        }
        let found = Checkpoint::load(disk.as_ref(), dir)?;
        let had_checkpoint = found.is_some();
        let checkpoint = found.unwrap_or_else(Checkpoint::begin);
        let number = checkpoint.round.as_ref().map(|round| round.number);
        remove_other_lists(disk.as_ref(), dir, number).map_err(at)?;
        let list = number.map(|number| open_list(disk.as_ref(), dir, number)).transpose()?;
        Ok(Self { disk, dir: dir.to_owned(), checkpoint, list, had_checkpoint, lock })
    }

    /// Whether this is a line of the first or the open round that is not done in the checkpoint.
    ///
    /// # Errors
    /// When the list of the round cannot be read.
    pub fn is_pending(&self, id: &Identity) -> io::Result<bool> {
        if id.round == 0 {
            return Ok(self.checkpoint.is_pending(id));
        }
        let Some(round) = self.checkpoint.round.as_ref().filter(|round| round.number == id.round) else {
            return Ok(false);
        };
        let is_open = |ordinal| !round.done.contains(ordinal);
        Ok(self.checkpoint.has_line(id) && self.ordinal(id)?.is_some_and(is_open))
    }

    /// Marks a pending line as done. `page` is the next page of a source that paginates.
    ///
    /// # Errors
    /// When the list of the round cannot be read.
    pub fn settle(&mut self, id: &Identity, page: Option<RawJson>) -> io::Result<()> {
        if id.round > 0 {
            let ordinal = self.ordinal(id)?;
            if let (Some(ordinal), Some(round)) = (ordinal, &mut self.checkpoint.round) {
                round.done.insert(ordinal, None);
            }
        } else if let Some(source) = self.checkpoint.sources.get_mut(id.source.as_deref().unwrap_or_default()) {
            source.files.entry(id.file.as_deref().unwrap_or_default().to_owned()).or_default().insert(id.seq, None);
            source.position = page.or(source.position.take());
        }
        Ok(())
    }

    /// The ordinal of a line in the list of the open round.
    fn ordinal(&self, id: &Identity) -> io::Result<Option<u64>> {
        let Some(list) = &self.list else { return Ok(None) };
        list.ordinal(id.source.as_deref().unwrap_or_default(), id.file.as_deref().unwrap_or_default(), id.seq)
    }

    /// The number of lines of the open round.
    pub fn lines_of_round(&self) -> u64 {
        self.list.as_ref().map_or(0, RoundList::lines)
    }

    /// Opens a round whose list is fsynced.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    pub fn open_round(&mut self, list: RoundList, number: u32, selection: &Selection) -> Result<(), BoxError> {
        let selection = selection.to_string();
        self.checkpoint.round = Some(OpenRound { number, selection, done: DoneRanges::default() });
        self.checkpoint.last_round = number;
        self.list = Some(list);
        self.save(&self.checkpoint, &[])
    }

    /// Saves the start of the tail of each output, by sink, including new files. Recovery may then append records: if
    /// this start is killed, too, the next one finds them in the tails.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    pub fn remember_logs(
        &mut self,
        logs: impl Iterator<Item = (Arc<str>, Vec<OutputPosition>)>,
    ) -> Result<(), BoxError> {
        let logs = logs.map(|(sink, log)| (sink.to_string(), log)).collect();
        if self.checkpoint.sinks == logs {
            return Ok(());
        }
        self.checkpoint.sinks = logs;
        self.save(&self.checkpoint, &[])
    }

    /// Fsyncs the outputs up to these marks, and then writes the checkpoint that relies on them.
    ///
    /// # Errors
    /// When the checkpoint cannot be written, or an output cannot be fsynced. The run then ends, because a repeated
    /// fsync can succeed although data is lost.
    pub fn save(&self, checkpoint: &Checkpoint, marks: &[Mark]) -> Result<(), BoxError> {
        for mark in marks {
            mark.file
                .sync(SyncPoint::Output)
                .map_err(|error| format!("cannot sync {}: {error}", mark.path.display()))?;
        }
        retry_while_full(&self.dir, || checkpoint.save(self.disk.as_ref(), &self.dir))
            .map_err(|error| format!("cannot write the checkpoint in {}: {error}", self.dir.display()).into())
    }

    /// Saves the checkpoint, and deletes the list of a round that has ended.
    ///
    /// # Errors
    /// Like `save`.
    pub fn commit(&mut self, checkpoint: &Checkpoint, marks: &[Mark]) -> Result<(), BoxError> {
        self.save(checkpoint, marks)?;
        if checkpoint.round.is_none() && self.list.take().is_some() {
            let removed = remove_other_lists(self.disk.as_ref(), &self.dir, None);
            if let Err(error) = removed {
                tracing::warn!(%error, "the list of a finished round could not be deleted; the next start does it");
            }
        }
        Ok(())
    }
}

/// Opens the list of an open round.
fn open_list(disk: &dyn Disk, dir: &Path, number: u32) -> Result<RoundList, BoxError> {
    RoundList::open(disk, dir, number).map_err(|error| {
        let dir = dir.display();
        format!(
            "round {number} is open in {dir}, and its list {dir}/rounds/{number} cannot be read: {error}; put it back, or give the rest of the round up by taking `round` out of {dir}/checkpoint.json"
        )
        .into()
    })
}

/// Fsyncs the parents of a directory, which may be new as well.
fn keep_name(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for above in dir.ancestors().skip(1) {
        match disk.sync_dir(above, SyncPoint::DataDir) {
            // This process cannot have created anything in an unreadable directory.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

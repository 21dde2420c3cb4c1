//! The data directory, locked by one process at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checkpoint, OpenRound};
use crate::disk::{Disk, DiskFile, Mark, Mode, OutputPosition, SyncPoint, retry_while_full};
use crate::error::{AtPath, BoxError};
use crate::item::{DoneRanges, Identity, RawJson};
use crate::rounds::{RoundList, Selection, remove_other_lists};

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}; it has to be a directory that fetchd can write to: mend it, or name another with `--data-dir` or `state.data_dir`"
)]
struct Unusable(#[source] AtPath);

/// An open data directory, and what its checkpoint said.
#[derive(Debug)]
pub struct DataDir {
    /// The file system that it is on.
    pub disk: Arc<dyn Disk>,
    /// Its path.
    pub dir: PathBuf,
    /// What is remembered.
    pub checkpoint: Checkpoint,
    /// The list of the open round.
    pub list: Option<RoundList>,
    /// Whether it had a checkpoint when it was opened.
    pub(super) had_checkpoint: bool,
    pub(super) lock: Arc<dyn DiskFile>,
}

impl DataDir {
    /// Opens a data directory, and creates it if it is not there.
    ///
    /// # Errors
    /// When it cannot be read or written, another process has it, or a round is open whose list is gone.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, BoxError> {
        let at = |error| Unusable(AtPath::new(dir, error));
        disk.create_dir(dir).map_err(at)?;
        keep_name(disk.as_ref(), dir).map_err(at)?;
        let lock = disk.open(&dir.join("lock"), Mode::Append).map_err(at)?;
        if !lock.try_lock().map_err(at)? {
            let dir = dir.display();
            return Err(format!("another fetchd is using {dir}; give this one a data directory of its own").into());
        }
        let found = Checkpoint::load(disk.as_ref(), dir)?;
        let had_checkpoint = found.is_some();
        let checkpoint = found.unwrap_or_else(Checkpoint::begin);
        let number = checkpoint.round.as_ref().map(|round| round.number);
        remove_other_lists(disk.as_ref(), dir, number).map_err(at)?;
        let list = number.map(|number| open_list(disk.as_ref(), dir, number)).transpose()?;
        Ok(Self { disk, dir: dir.to_owned(), checkpoint, list, had_checkpoint, lock })
    }

    /// Whether this is a line that is not known to be done, in the first round or in the one that is open.
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

    /// Notes that a line is done which was pending; `page` is where its source goes on, if that reads answers.
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

    /// How many lines the open round has.
    pub fn lines_of_round(&self) -> u64 {
        self.list.as_ref().map_or(0, RoundList::lines)
    }

    /// Opens a round, whose list lasts by now.
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

    /// Remembers where the logs of the outputs begin, by sink, also in files that are new to them. After that these may
    /// grow by what is completed: should this start be killed as well, the next one finds that there.
    ///
    /// # Errors
    /// When the checkpoint could not be written.
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

    /// Syncs (fsync) the outputs up to these marks, and then writes the checkpoint that relies on them.
    ///
    /// # Errors
    /// When something cannot be written or synced. The run ends then: a second fsync would prove nothing.
    pub fn save(&self, checkpoint: &Checkpoint, marks: &[Mark]) -> Result<(), BoxError> {
        for mark in marks {
            mark.file
                .sync(SyncPoint::Output)
                .map_err(|error| format!("cannot sync {}: {error}", mark.path.display()))?;
        }
        retry_while_full(&self.dir, || checkpoint.save(self.disk.as_ref(), &self.dir))
            .map_err(|error| format!("cannot write the checkpoint in {}: {error}", self.dir.display()).into())
    }

    /// The same, and then deletes the list of a round that has ended by this checkpoint.
    ///
    /// # Errors
    /// The same.
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

/// The list of an open round; without it nobody knows which lines the round has.
fn open_list(disk: &dyn Disk, dir: &Path, number: u32) -> Result<RoundList, BoxError> {
    RoundList::open(disk, dir, number).map_err(|error| {
        let dir = dir.display();
        format!(
            "round {number} is open in {dir}, and its list {dir}/rounds/{number} cannot be read: {error}; put it back, or give the rest of the round up by taking `round` out of {dir}/checkpoint.json"
        )
        .into()
    })
}

/// Makes the name of a directory last, and of those above it, which may be new as well.
fn keep_name(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for above in dir.ancestors().skip(1) {
        match disk.sync_dir(above, SyncPoint::DataDir) {
            // Where this process may not look it has made nothing.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

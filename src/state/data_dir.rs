//! The data directory, locked by one process at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checkpoint, OpenRound};
use crate::disk::{Disk, DiskFile, Mark, Mode, OutputPosition, SyncPoint, retry_while_full};
use crate::error::{AtPath, BoxError};

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
    /// Whether it had a checkpoint when it was opened.
    pub(super) had_checkpoint: bool,
    pub(super) lock: Arc<dyn DiskFile>,
}

impl DataDir {
    /// Opens a data directory, and creates it if it is not there.
    ///
    /// # Errors
    /// When it cannot be read or written, another process has it, or a round is open in it.
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
        if let Some(OpenRound { number, .. }) = checkpoint.round {
            let dir = dir.display();
            return Err(format!(
                "round {number} in {dir} is not finished, and this fetchd cannot finish it; let the fetchd that began it do so"
            )
            .into());
        }
        Ok(Self { disk, dir: dir.to_owned(), checkpoint, had_checkpoint, lock })
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

//! The mark of a run in the lock file of its data directory: that it runs, and, once it has sent its last request, when that
//! was. What the next run finds says since when no host was asked. Nothing is synced: a process that is killed leaves what it
//! has written.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::disk::{DiskFile, append_all};

/// How the run before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// There was none.
    None,
    /// It was killed, nobody knows when.
    Killed,
    /// It sent nothing from then on.
    Ended(Timestamp),
}

impl RunEnd {
    /// How long ago its last request may have been at most, if there was one. A clock that jumped back makes it no time.
    pub fn ago(self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Killed => Some(Duration::ZERO),
            Self::Ended(at) => Some(Duration::try_from(now.duration_since(at)).unwrap_or_default()),
        }
    }
}

/// The mark of the run at hand.
#[derive(Debug)]
pub(super) struct RunMarker {
    pub lock: Arc<dyn DiskFile>,
    /// Whether there was a checkpoint: a lock file of 0.1.0 has no mark.
    pub had_checkpoint: bool,
}

impl RunMarker {
    /// Marks that a run begins, and says how the one before ended.
    ///
    /// # Errors
    /// When the lock file cannot be read or cut.
    pub fn begin(&self) -> io::Result<RunEnd> {
        let mut text = [0; 64];
        let n = self.lock.read_at(&mut text, 0)?;
        let ended = || std::str::from_utf8(&text[..n]).ok()?.strip_prefix("ended ")?.strip_suffix('\n')?.parse().ok();
        self.lock.set_len(0)?;
        // On a full disk the checkpoint alone says that there was a run.
        let _ = self.write("running");
        Ok(match n {
            0 if !self.had_checkpoint => RunEnd::None,
            _ => ended().map_or(RunEnd::Killed, RunEnd::Ended),
        })
    }

    /// Marks that the run has sent its last request.
    ///
    /// # Errors
    /// When that cannot be written: for the next run this one was killed.
    pub fn end(&self, now: Timestamp) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.write(&format!("ended {now}"))
    }

    fn write(&self, mark: &str) -> io::Result<()> {
        append_all(self.lock.as_ref(), format!("{mark}\n").as_bytes(), 0)
    }
}

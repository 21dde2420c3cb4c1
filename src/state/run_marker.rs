//! The run marker in the lock file of the data directory: that a run is active, or when it sent its last request. The
//! next run uses it to space its first requests. It is not fsynced because it only has to survive a kill.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::disk::{DiskFile, append_all};

/// The end of the previous run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// There was no previous run.
    None,
    /// It was killed at an unknown time.
    Killed,
    /// It sent no request after this time.
    Ended(Timestamp),
}

impl RunEnd {
    /// The least time since its last request, if there was a run; zero if the clock jumped back.
    pub fn ago(self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Killed => Some(Duration::ZERO),
            Self::Ended(at) => Some(Duration::try_from(now.duration_since(at)).unwrap_or_default()),
        }
    }
}

/// The marker of the current run.
#[derive(Debug)]
pub(super) struct RunMarker {
    pub lock: Arc<dyn DiskFile>,
    /// Whether there was a checkpoint: 0.1.0 wrote no marker.
    pub had_checkpoint: bool,
}

impl RunMarker {
    /// Marks the run as active, and returns the end of the previous run.
    ///
    /// # Errors
    /// When the lock file cannot be read or truncated.
    pub fn begin(&self) -> io::Result<RunEnd> {
        let mut text = [0; 64];
        let n = self.lock.read_at(&mut text, 0)?;
        let ended = || std::str::from_utf8(&text[..n]).ok()?.strip_prefix("ended ")?.strip_suffix('\n')?.parse().ok();
        self.lock.set_len(0)?;
        // On a full disk this fails, and only the checkpoint shows that there was a run.
        let _ = self.write("running");
        Ok(match n {
            0 if !self.had_checkpoint => RunEnd::None,
            _ => ended().map_or(RunEnd::Killed, RunEnd::Ended),
        })
    }

    /// Marks that the run has sent its last request.
    ///
    /// # Errors
    /// When the marker cannot be written; the run then counts as killed.
    pub fn end(&self, now: Timestamp) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.write(&format!("ended {now}"))
    }

    fn write(&self, mark: &str) -> io::Result<()> {
        append_all(self.lock.as_ref(), format!("{mark}\n").as_bytes(), 0)
    }
}

//! The durable state of runs in `data_dir`.
//!
//! The outputs are the log of done lines. The checkpoint contains their positions, and the lines that are done up to
//! there. The input is receipts and marks from `pipeline::settle`.

mod checkpoint;
mod checkpoint_writer;
mod checkpointer;
mod commit_clock;
mod config;
mod data_dir;
mod host_state_recorder;
mod host_states;
mod inspect;
mod overrides;
mod robots_log;
mod run_marker;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use checkpoint::{Checkpoint, OpenRound, SourceState};
pub use checkpoint_writer::PositionRecorder;
pub use checkpointer::Checkpointer;
pub use commit_clock::CommitClock;
pub use config::StateConfig;
pub use data_dir::DataDir;
pub use host_state_recorder::HostStateRecorder;
pub use host_states::{StoredHostState, from_stored, to_stored};
pub use inspect::{RoundStatus, SourceStatus, WalStatus, count, inspect, round};
pub use overrides::{ClockReading, load_overrides, save_overrides};

use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Receipt;
use crate::schedule::{HostState, KnownRobots};

/// Records which lines are done, so that a restart does not fetch them again.
///
/// An error ends the run. Calls come one at a time.
pub trait Settle: Send {
    /// Marks lines of durable sources as done, after all sinks have taken their records. Each line is passed once.
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError>;

    /// Makes the settled lines durable. Up to these marks, the outputs contain their records and no others of durable
    /// sources.
    fn commit(&mut self, marks: Vec<Mark>) -> BoxFuture<'_, Result<(), BoxError>>;

    /// The time of the last commit, if there are commits.
    fn commits(&self) -> Option<Arc<CommitClock>> {
        None
    }
}

/// Saves host states, so that the next run respects pauses, circuit breakers and rates.
pub trait HostStateStore: Send {
    /// The host states that the previous run saved.
    fn load(&mut self) -> Vec<HostState>;

    /// Replaces the saved states without waiting. If that fails, the next commit returns the error.
    fn save(&mut self, host_states: &[HostState]);

    /// The end of the previous run.
    fn load_last_run(&mut self) -> LastRun {
        LastRun::default()
    }

    /// Saves the robots.txt rules of a site, even if the process is killed after this returns. If saving fails, the
    /// next run fetches the file again.
    fn save_robots(&mut self, _known: &KnownRobots) {}

    /// Saves that the run has sent its last request.
    fn end(&mut self) {}
}

/// The end of the previous run, and the robots.txt rules that it saved.
#[derive(Debug, Default)]
pub struct LastRun {
    /// The least time since its last request; `None` if there was no previous run.
    pub ended_ago: Option<Duration>,
    /// The robots.txt rules of sites, the oldest first.
    pub robots: Vec<KnownRobots>,
}

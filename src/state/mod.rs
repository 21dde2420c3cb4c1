//! Durable state in `data_dir`: what one run leaves for the next.
//!
//! The outputs themselves are the log of what is done; the checkpoint says up to where they are accounted for, and which
//! lines were done until there. Next to it are the journals of durable stdin. In: receipts and marks from `pipeline::settle`.

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

/// Remembers which lines are done, so that a restart does not yield them again.
///
/// An error ends the run. Calls come one at a time.
pub trait Settle: Send {
    /// Every sink has taken the records of these lines of durable sources, each line once.
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError>;

    /// Makes it last that the lines settled so far are done. Their records, and no others of durable sources, are in the
    /// outputs up to these marks.
    fn commit(&mut self, marks: Vec<Mark>) -> BoxFuture<'_, Result<(), BoxError>>;

    /// When it committed last, if it says so.
    fn commits(&self) -> Option<Arc<CommitClock>> {
        None
    }
}

/// Saves the states of hosts, so that the next run leaves the paused and the unreachable ones alone, too, and asks none too
/// early.
pub trait HostStateStore: Send {
    /// What the run before saved.
    fn load(&mut self) -> Vec<HostState>;

    /// Saves these states and no others. Does not wait; should it fail, the next commit returns the error.
    fn save(&mut self, host_states: &[HostState]);

    /// What the run before left of its requests.
    fn load_last_run(&mut self) -> LastRun {
        LastRun::default()
    }

    /// Saves what was learnt of a site's robots.txt. It is there for the next run when this returns, whatever becomes of this
    /// one; where it cannot be, the next run fetches the file again.
    fn save_robots(&mut self, _known: &KnownRobots) {}

    /// Saves that no request is sent any more.
    fn end(&mut self) {}
}

/// What the run before leaves of its requests.
#[derive(Debug, Default)]
pub struct LastRun {
    /// How long ago its last request may have been; `None` when there was no run before.
    pub ended_ago: Option<Duration>,
    /// What it knew of the robots.txt of sites, the oldest first.
    pub robots: Vec<KnownRobots>,
}

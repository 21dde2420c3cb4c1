//! Durable state in `data_dir`: what one run leaves for the next.
//!
//! The outputs themselves are the log of what is done; the checkpoint says up to where they are accounted for, and which
//! lines were done until there. Next to it are the journals of durable stdin. In: receipts and marks from `pipeline::settle`.

mod checkpoint;
mod checkpoint_writer;
mod checkpointer;
mod config;
mod data_dir;
mod host_states;
mod inspect;

use futures::future::BoxFuture;

pub use checkpoint::{Checkpoint, OpenRound, SourceState};
pub use checkpoint_writer::{HostStateRecorder, PositionRecorder};
pub use checkpointer::Checkpointer;
pub use config::StateConfig;
pub use data_dir::DataDir;
pub use host_states::{StoredHostState, from_stored, to_stored};
pub use inspect::{SourceStatus, WalStatus, count, inspect};

use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Receipt;
use crate::schedule::HostState;

/// Remembers which lines are done, so that a restart does not yield them again.
///
/// An error ends the run. Calls come one at a time.
pub trait Settle: Send {
    /// Every sink has taken the records of these lines of durable sources, each line once.
    fn settle(&mut self, done: &[Receipt]) -> Result<(), BoxError>;

    /// Makes it last that the lines settled so far are done. Their records, and no others of durable sources, are in the
    /// outputs up to these marks.
    fn commit(&mut self, marks: Vec<Mark>) -> BoxFuture<'_, Result<(), BoxError>>;
}

/// Saves the states of hosts, so that the next run leaves the paused and the unreachable ones alone, too.
pub trait HostStateStore: Send {
    /// What the run before saved.
    fn load(&mut self) -> Vec<HostState>;

    /// Saves these states and no others. Does not wait; should it fail, the next commit returns the error.
    fn save(&mut self, host_states: &[HostState]);
}

//! What a run leaves behind for the next one, in `data_dir`.
//!
//! The outputs themselves are the log of what is done; a checkpoint says up to where they are accounted for, and what
//! was done until there. Next to it live the journals of durable sources. In: receipts and marks from `pipeline::settle`.

mod checkpoint;
mod config;
mod dir;
mod hosts;
mod keeper;
mod survey;

use futures::future::BoxFuture;

pub use checkpoint::{Checkpoint, SourceState};
pub use config::StateConfig;
pub use dir::State;
pub use hosts::{HostKeeper, HostState, leave_alone, to_remember};
pub use keeper::{Keeper, Remembered};
pub use survey::{Journal, Surveyed, count, survey};

use crate::disk::Mark;
use crate::error::BoxError;
use crate::item::Receipt;
use crate::schedule::Trouble;

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

/// Remembers hosts in trouble, so that the next run leaves them alone, too.
pub trait Hosts: Send {
    /// What the run before left.
    fn recall(&mut self) -> Vec<Trouble>;

    /// These hosts are in trouble now, and no others. Does not wait; should it fail, the next commit says so.
    fn remember(&mut self, troubles: &[Trouble]);
}

//! The parts of a run.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::desk::Question;
use crate::fetch::{Fetch, RefreshTokens};
use crate::schedule::{Overrides, ReleaseScope};
use crate::ship::Shipper;
use crate::sink::Sink;
use crate::source::Source;
use crate::state::{HostStateStore, Settle};

/// The parts of a run.
pub struct Parts {
    /// The sources of lines.
    pub sources: Vec<Source>,
    /// The HTTP client that makes the attempts.
    pub fetch: Arc<dyn Fetch>,
    /// The sinks; each gets every record, in this order.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Saves which lines are done, in a durable run.
    pub settle: Option<Box<dyn Settle>>,
    /// Reads token files again, if there are any.
    pub tokens: Option<Arc<dyn RefreshTokens>>,
    /// Saves the states of hosts, in a durable run.
    pub hosts: Option<Box<dyn HostStateStore>>,
    /// The runtime of the workers, if they have one of their own.
    pub threads: Option<Handle>,
    /// Requests to give lines back to their sources, if there may be any.
    pub releases: Option<mpsc::Receiver<ReleaseScope>>,
    /// Questions to the schedule, and operators' verbs, if there may be any.
    pub questions: Option<mpsc::Receiver<Question>>,
    /// The overrides of the previous run that are still in force.
    pub overrides: Overrides,
    /// The shippers of sinks with a remote place.
    pub shippers: Vec<Shipper>,
}

impl Parts {
    /// Parts of a run that is not durable.
    pub fn new(sources: Vec<Source>, fetch: Arc<dyn Fetch>, sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            sources,
            fetch,
            sinks,
            settle: None,
            tokens: None,
            hosts: None,
            threads: None,
            releases: None,
            questions: None,
            overrides: Overrides::default(),
            shippers: Vec::new(),
        }
    }
}

//! The parts that a run is made of.

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

/// The parts that a run is made of.
pub struct Parts {
    /// Where lines come from.
    pub sources: Vec<Source>,
    /// The HTTP client that makes the attempts.
    pub fetch: Arc<dyn Fetch>,
    /// Where records go; each gets every record, in this order.
    pub sinks: Vec<Box<dyn Sink>>,
    /// What saves which lines are done, in a durable run.
    pub settle: Option<Box<dyn Settle>>,
    /// Reads the files of tokens again, if there are any.
    pub tokens: Option<Arc<dyn RefreshTokens>>,
    /// Where the states of hosts are saved, in a durable run.
    pub hosts: Option<Box<dyn HostStateStore>>,
    /// The threads that attempts are made in, if not in that of all the rest.
    pub threads: Option<Handle>,
    /// Requests to give lines back to their sources, if there may be any.
    pub releases: Option<mpsc::Receiver<ReleaseScope>>,
    /// Questions to the schedule, and operators' verbs, if there may be any.
    pub questions: Option<mpsc::Receiver<Question>>,
    /// What operators had changed when the run before ended.
    pub overrides: Overrides,
    /// What ships the records of sinks to remote places.
    pub shippers: Vec<Shipper>,
}

impl Parts {
    /// Sources, a client and sinks, and nothing else.
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

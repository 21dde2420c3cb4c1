//! The desk: a bounded channel of questions and operators' verbs to the running schedule. The scheduler answers one a
//! turn, and scans hosts and lines in pieces. A question is refused when the channel is full, so no sender blocks.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::fetch::{Fetch, RefreshTokens};
use crate::schedule::{
    self, HostCounts, HostReport, HostWhy, HostsQuery, LimitsInForce, LineAnswer, LineKey, Overrides,
};

/// The capacity of the channel.
const MOST_WAITING: usize = 16;

/// A question with the channel for its answer. The answer is dropped if the receiver is gone.
#[derive(Debug)]
pub enum Question {
    /// The first hosts by the order of the query, unsorted.
    Hosts(HostsQuery, oneshot::Sender<HostsAnswer>),
    /// One host; `None` if it is not in the table.
    Host(Arc<str>, oneshot::Sender<Option<HostReport>>),
    /// The number of hosts in each state.
    HostCounts(oneshot::Sender<HostCounts>),
    /// Why the next line of a host waits; `None` if it has no lines.
    Why(Arc<str>, oneshot::Sender<Option<HostWhy>>),
    /// The limits that hold for a host, or for the run.
    Limits(Option<Arc<str>>, oneshot::Sender<LimitsInForce>),
    /// Where a line is, and why it waits.
    WhyLine(LineKey, oneshot::Sender<LineAnswer>),
    /// The overrides in force.
    Overrides(oneshot::Sender<InForce>),
    /// Replaces all overrides.
    SetOverrides(Box<Overrides>, oneshot::Sender<()>),
    /// Settles the waiting lines of a host unsent; answers with their number.
    Skip(Arc<str>, oneshot::Sender<usize>),
    /// Replaces the configuration, except for the settings that hold from the start on.
    Reconfigure(Box<Reconfiguration>, oneshot::Sender<()>),
}

/// The parts of a run that a reload replaces.
pub struct Reconfiguration {
    /// The settings of the schedule.
    pub schedule: schedule::Settings,
    /// The client for attempts that start from now on.
    pub fetch: Arc<dyn Fetch>,
    /// Reads token files again, if there are any.
    pub tokens: Option<Arc<dyn RefreshTokens>>,
}

impl fmt::Debug for Reconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconfiguration").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

/// The answer to [`Question::Hosts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsAnswer {
    /// The hosts.
    pub hosts: Vec<HostReport>,
    /// The number of all matching hosts; `None` if they were not counted.
    pub matching: Option<usize>,
}

/// The overrides in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The overrides.
    pub overrides: Overrides,
    /// The present time, since the start of the run.
    pub now: Duration,
    /// The workers that the run began with.
    pub workers: u32,
    /// Lines that a stop would cancel: an operator has paused them, and their source is not durable.
    pub would_cancel: usize,
}

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The channel is full: try again.
    Busy,
    /// The run has ended.
    Ended,
}

/// The sending end of the desk, for any thread.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Question>);

impl Desk {
    /// A desk, and its receiving end for `Parts::questions`.
    pub fn open() -> (Self, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The channel is full, or the run has ended.
    pub async fn ask<A>(&self, question: impl FnOnce(oneshot::Sender<A>) -> Question) -> Result<A, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(question(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoAnswer::Busy,
            mpsc::error::TrySendError::Closed(_) => NoAnswer::Ended,
        })?;
        answer.await.map_err(|_| NoAnswer::Ended)
    }

    /// The first hosts by the order of the query, sorted.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn hosts(&self, query: HostsQuery) -> Result<HostsAnswer, NoAnswer> {
        let order = query.clone();
        let mut answer = self.ask(|reply| Question::Hosts(query, reply)).await?;
        answer.hosts.sort_by_key(|host| (Reverse(order.rank(host)), Arc::clone(&host.name)));
        Ok(answer)
    }

    /// One host; `None` if it is not in the table.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn host(&self, name: Arc<str>) -> Result<Option<HostReport>, NoAnswer> {
        self.ask(|reply| Question::Host(name, reply)).await
    }

    /// The number of hosts in each state.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn host_counts(&self) -> Result<HostCounts, NoAnswer> {
        self.ask(Question::HostCounts).await
    }

    /// Why the next line of a host waits; `None` if it has no lines.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn why(&self, host: Arc<str>) -> Result<Option<HostWhy>, NoAnswer> {
        self.ask(|reply| Question::Why(host, reply)).await
    }

    /// The limits of a host, with or without lines, or of the run.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn limits(&self, host: Option<Arc<str>>) -> Result<LimitsInForce, NoAnswer> {
        self.ask(|reply| Question::Limits(host, reply)).await
    }

    /// Where a line is, and why it waits. For a line that is not in the run, `SourceLines` has whether it was read.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn why_line(&self, line: LineKey) -> Result<LineAnswer, NoAnswer> {
        self.ask(|reply| Question::WhyLine(line, reply)).await
    }

    /// The overrides in force.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn overrides(&self) -> Result<InForce, NoAnswer> {
        self.ask(Question::Overrides).await
    }

    /// Replaces all overrides; they are in force when this returns.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn set_overrides(&self, overrides: Overrides) -> Result<(), NoAnswer> {
        self.ask(|reply| Question::SetOverrides(Box::new(overrides), reply)).await
    }

    /// Settles the waiting lines of a host unsent; returns their number. None of them starts after that.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn skip(&self, host: Arc<str>) -> Result<usize, NoAnswer> {
        self.ask(|reply| Question::Skip(host, reply)).await
    }

    /// Replaces the configuration; when this returns, no attempt starts by the old one.
    ///
    /// # Errors
    /// Like [`Desk::ask`].
    pub async fn reconfigure(&self, new: Reconfiguration) -> Result<(), NoAnswer> {
        self.ask(|reply| Question::Reconfigure(Box::new(new), reply)).await
    }
}

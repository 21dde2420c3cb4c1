//! The desk: questions to the schedule while it runs, and operators' verbs. The scheduler answers one a turn, and goes through
//! hosts and lines in pieces; nobody waits for a question, for when the desk is full it is refused.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::fetch::{Fetch, RefreshTokens};
use crate::schedule::{
    self, HostCounts, HostReport, HostWhy, HostsQuery, LimitsInForce, LineAnswer, LineKey, Overrides,
};

/// Questions that wait, at most.
const MOST_WAITING: usize = 16;

/// A question with the place for its answer. An answer that nobody waits for any more is dropped.
#[derive(Debug)]
pub enum Question {
    /// Some hosts, the first of their order, which the asker brings them into.
    Hosts(HostsQuery, oneshot::Sender<HostsAnswer>),
    /// One host; `None` if it is not in the table.
    Host(Arc<str>, oneshot::Sender<Option<HostReport>>),
    /// How many hosts are in which state.
    HostCounts(oneshot::Sender<HostCounts>),
    /// Why the next line of a host waits; `None` if it has no lines.
    Why(Arc<str>, oneshot::Sender<Option<HostWhy>>),
    /// The limits that hold for a host, or for the run.
    Limits(Option<Arc<str>>, oneshot::Sender<LimitsInForce>),
    /// Where a line is, and what holds it back.
    WhyLine(LineKey, oneshot::Sender<LineAnswer>),
    /// The overrides that hold.
    Overrides(oneshot::Sender<InForce>),
    /// From now on these are all overrides.
    SetOverrides(Box<Overrides>, oneshot::Sender<()>),
    /// The lines of a host that wait now are settled unsent; says how many they are.
    Skip(Arc<str>, oneshot::Sender<usize>),
    /// From now on this configuration holds, but for what is of the start.
    Reconfigure(Box<Reconfiguration>, oneshot::Sender<()>),
}

/// What a reload gives the schedule.
pub struct Reconfiguration {
    /// Its settings.
    pub schedule: schedule::Settings,
    /// Makes the attempts that start from now on.
    pub fetch: Arc<dyn Fetch>,
    /// Reads the files of tokens again, if there are any.
    pub tokens: Option<Arc<dyn RefreshTokens>>,
}

impl fmt::Debug for Reconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconfiguration").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

/// Some hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsAnswer {
    /// The hosts.
    pub hosts: Vec<HostReport>,
    /// How many there are that match, these included; `None` where they were not counted.
    pub matching: Option<usize>,
}

/// The overrides that hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The overrides.
    pub overrides: Overrides,
    /// Now, since the start of the run.
    pub now: Duration,
    /// The workers that the run began with.
    pub workers: u32,
    /// Lines that a stop would cancel, as an operator's pause holds them and no next start finds them again.
    pub would_cancel: usize,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// Too many questions wait: try again.
    Busy,
    /// The run has ended.
    Ended,
}

/// Where questions are asked. From any thread.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Question>);

impl Desk {
    /// A desk, and what goes to the run as `Parts::questions`.
    pub fn open() -> (Self, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// No place at the desk, or no run.
    pub async fn ask<A>(&self, question: impl FnOnce(oneshot::Sender<A>) -> Question) -> Result<A, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(question(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoAnswer::Busy,
            mpsc::error::TrySendError::Closed(_) => NoAnswer::Ended,
        })?;
        answer.await.map_err(|_| NoAnswer::Ended)
    }

    /// Some hosts, in their order.
    ///
    /// # Errors
    /// The same.
    pub async fn hosts(&self, query: HostsQuery) -> Result<HostsAnswer, NoAnswer> {
        let order = query.clone();
        let mut answer = self.ask(|reply| Question::Hosts(query, reply)).await?;
        answer.hosts.sort_by_key(|host| (Reverse(order.rank(host)), Arc::clone(&host.name)));
        Ok(answer)
    }

    /// One host; `None` if it is not in the table.
    ///
    /// # Errors
    /// The same.
    pub async fn host(&self, name: Arc<str>) -> Result<Option<HostReport>, NoAnswer> {
        self.ask(|reply| Question::Host(name, reply)).await
    }

    /// How many hosts are in which state.
    ///
    /// # Errors
    /// The same.
    pub async fn host_counts(&self) -> Result<HostCounts, NoAnswer> {
        self.ask(Question::HostCounts).await
    }

    /// Why the next line of a host waits; `None` if it has no lines.
    ///
    /// # Errors
    /// The same.
    pub async fn why(&self, host: Arc<str>) -> Result<Option<HostWhy>, NoAnswer> {
        self.ask(|reply| Question::Why(host, reply)).await
    }

    /// The limits that hold for a host, whether it has lines or not, or for the run.
    ///
    /// # Errors
    /// The same.
    pub async fn limits(&self, host: Option<Arc<str>>) -> Result<LimitsInForce, NoAnswer> {
        self.ask(|reply| Question::Limits(host, reply)).await
    }

    /// Where a line is, and what holds it back. Whether one that is not here was ever read, its source knows.
    ///
    /// # Errors
    /// The same.
    pub async fn why_line(&self, line: LineKey) -> Result<LineAnswer, NoAnswer> {
        self.ask(|reply| Question::WhyLine(line, reply)).await
    }

    /// The overrides that hold.
    ///
    /// # Errors
    /// The same.
    pub async fn overrides(&self) -> Result<InForce, NoAnswer> {
        self.ask(Question::Overrides).await
    }

    /// Makes these all overrides; when this returns, they hold.
    ///
    /// # Errors
    /// The same.
    pub async fn set_overrides(&self, overrides: Overrides) -> Result<(), NoAnswer> {
        self.ask(|reply| Question::SetOverrides(Box::new(overrides), reply)).await
    }

    /// Settles the lines of a host that wait now; says how many they are. None of them starts after that.
    ///
    /// # Errors
    /// The same.
    pub async fn skip(&self, host: Arc<str>) -> Result<usize, NoAnswer> {
        self.ask(|reply| Question::Skip(host, reply)).await
    }

    /// Makes this the configuration; when this returns, nothing starts by the old one.
    ///
    /// # Errors
    /// The same.
    pub async fn reconfigure(&self, new: Reconfiguration) -> Result<(), NoAnswer> {
        self.ask(|reply| Question::Reconfigure(Box::new(new), reply)).await
    }
}

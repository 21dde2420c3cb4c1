//! Graceful shutdown: one sequence for every cause (SIGTERM and other signals: `src/daemon/signals.rs`). Causes differ
//! only in the time limit of unfinished lines:
//!
//! | cause | unsettled lines | limit |
//! |---|---|---|
//! | end of input | all finish; then shippers ship the remaining records | each line's own; none for shippers |
//! | only lines of closed hosts are left | left for the next start; then as above | none |
//! | first signal | of durable sources, requests finish and all other lines are left for the next start; lines of other sources finish; then shippers have the rest of the time, and unshipped records are left | grace, then give up |
//! | first signal while an operator has paused the run or a host | the same, but waiting lines there end at once: left for the next start, or `canceled` | the same |
//! | `--fail-fast` | given up | 1 s |
//! | give up | `canceled` records, or left for the next start | 1 s, then abort |
//! | second signal, stage error or panic | dropped | now |

use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::shutdown_messages::{NOT_WRITTEN, announce, remind};
use super::{Control, Group, Levers, Parts, RunState, Settings, Status, start};
use crate::error::Error;
use crate::ship::Backlog;
use crate::units::{counted, in_bytes};

/// How long the last records may take to be written after the run was given up.
const LAST_RECORDS: Duration = Duration::from_secs(1);

/// The interval of reminders in the log.
const STILL_WAITING: Duration = Duration::from_secs(5);

/// How a run ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every accepted line was finished, before or after a signal.
    Finished,
    /// Unfinished lines were given up: the grace period passed, or an operator's pause held them.
    GaveUp,
    /// Only lines of hosts that are closed for longer than `retry.max_retry_after` were left.
    HostsClosed,
    /// The first failure cancelled the rest.
    FailedFast,
    /// The grace period passed before all records were shipped.
    Unshipped,
}

/// The phase of the shutdown.
#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// A signal came; the schedule has not yet counted the lines left for the next start.
    Stopping {
        until: Instant,
    },
    Draining {
        until: Instant,
    },
    GivingUp {
        until: Instant,
    },
}

impl Phase {
    fn limit(self) -> Option<Instant> {
        match self {
            Self::Running => None,
            Self::Stopping { until } | Self::Draining { until } | Self::GivingUp { until } => Some(until),
        }
    }

    fn stopping(grace: Duration) -> Self {
        Self::Stopping { until: Instant::now() + grace }
    }

    fn drains(self) -> Self {
        match self {
            Self::Stopping { until } => Self::Draining { until },
            phase => phase,
        }
    }

    fn giving_up() -> Self {
        Self::GivingUp { until: Instant::now() + LAST_RECORDS }
    }
}

/// Runs the parts until the input ends and every line is done, or until a shutdown is over.
///
/// # Errors
/// A stage failed or panicked, or [`Control::Abort`] came.
pub async fn run(
    parts: Parts,
    settings: &Settings,
    status: &Status,
    controls: impl Stream<Item = Control>,
) -> Result<End, Error> {
    let levers = Levers::default();
    // One place is enough: a pending request covers all that follow.
    let (rotate, rotations) = mpsc::channel(1);
    let backlogs: Vec<Backlog> = parts.shippers.iter().map(|shipper| shipper.backlog().clone()).collect();
    status.watch_backlogs(backlogs.clone());
    let group = start(parts, settings, status, &levers, rotations);
    let (phase, end, reminder) = (Phase::Running, End::Finished, reminder());
    let mut run = Run { group, levers, backlogs, rotate, grace: settings.grace, status, phase, end, reminder };
    let mut controls = std::pin::pin!(controls.fuse());
    status.lifecycle().enter(RunState::Running);
    let ended = match run.stages(&mut controls).await {
        Ok(Stages::Ended) => run.shippers(&mut controls).await,
        Ok(Stages::OutOfTime) => Ok(()),
        Err(error) => Err(error),
    };
    run.group.abort().await;
    status.lifecycle().enter(RunState::Ended);
    ended.map(|()| run.end)
}

/// A run and the phase of its shutdown.
struct Run<'a> {
    group: Group,
    levers: Levers,
    backlogs: Vec<Backlog>,
    rotate: mpsc::Sender<()>,
    grace: Duration,
    status: &'a Status,
    phase: Phase,
    end: End,
    reminder: Interval,
}

/// How the wait for the stages ended.
enum Stages {
    Ended,
    /// A stage has not ended within the time limit.
    OutOfTime,
}

impl Run<'_> {
    /// Waits for the end of all stages.
    async fn stages(&mut self, controls: &mut (impl Stream<Item = Control> + Unpin)) -> Result<Stages, Error> {
        loop {
            let phase = self.phase;
            self.show();
            tokio::select! {
                biased;
                // The drain cancelled it on fail-fast. Checked before the end of the tasks: the failure may be the last
                // record.
                () = self.levers.give_up.cancelled(), if !matches!(phase, Phase::GivingUp { .. }) => {
                    self.stop();
                    (self.phase, self.end) = (Phase::giving_up(), End::FailedFast);
                }
                // The schedule cancelled it, because only lines of closed hosts are left.
                () = self.levers.stop.cancelled(), if matches!((phase, self.end), (Phase::Running, End::Finished)) => {
                    self.end = End::HostsClosed;
                }
                () = self.levers.stopped.cancelled(), if matches!(phase, Phase::Stopping { .. }) => {
                    announce(self.status, self.grace);
                    self.phase = phase.drains();
                }
                joined = self.group.join() => {
                    self.note_canceled();
                    return joined.map(|()| Stages::Ended);
                }
                Some(control) = controls.next() => self.obey(control)?,
                () = until(phase.limit()) => match phase {
                    Phase::GivingUp { .. } => return Ok(self.out_of_time()),
                    _ => self.give_up(),
                },
                _ = self.reminder.tick(), if matches!(phase, Phase::Draining { .. }) => remind(self.status),
            }
        }
    }

    /// Waits for the shippers, once all stages have ended; after a signal or a give-up, for the rest of its time.
    async fn shippers(&mut self, controls: &mut (impl Stream<Item = Control> + Unpin)) -> Result<(), Error> {
        self.announce_shipping();
        self.reminder.reset();
        loop {
            self.show();
            tokio::select! {
                biased;
                joined = self.group.join_shippers() => return joined,
                Some(control) = controls.next() => {
                    self.obey(control)?;
                    self.announce_shipping();
                }
                () = until(self.phase.limit()) => {
                    if self.end == End::Finished {
                        self.end = End::Unshipped;
                    }
                    return Ok(());
                }
                _ = self.reminder.tick() => self.say_unshipped("still shipping"),
            }
        }
    }

    fn obey(&mut self, control: Control) -> Result<(), Error> {
        match (control, self.phase) {
            (Control::Abort, _) => {
                self.say_unshipped("left for the next start");
                return Err(Error::Interrupted { unfinished: self.status.counters().unfinished() });
            }
            (Control::SetGrace(grace), _) => self.grace = grace,
            (Control::Rotate, _) => drop(self.rotate.try_send(())),
            (Control::Stop, Phase::Running) => {
                self.stop();
                self.reminder.reset();
                self.phase = Phase::stopping(self.grace);
            }
            // The shutdown has begun already.
            (Control::Stop, _) => {}
        }
        Ok(())
    }

    /// Updates the lifecycle that the API and the service manager see.
    fn show(&self) {
        if self.levers.stop.is_cancelled() || self.levers.give_up.is_cancelled() {
            self.status.lifecycle().enter(RunState::Draining { until: self.phase.limit() });
        }
    }

    /// Accepts no more lines. Sinks write the remaining records without waiting for remote places.
    fn stop(&self) {
        self.levers.stop.cancel();
        self.backlogs.iter().for_each(Backlog::lift_limit);
    }

    fn give_up(&mut self) {
        tracing::warn!(unfinished = self.status.counters().unfinished(), "the grace period is over (shutdown.grace)");
        self.levers.give_up.cancel();
        (self.phase, self.end) = (Phase::giving_up(), End::GaveUp);
    }

    /// Notes lines that a stop canceled: only an operator's pause cancels lines of a run that was not given up.
    fn note_canceled(&mut self) {
        if self.end == End::Finished && self.status.metrics().canceled.get() > 0 {
            self.end = End::GaveUp;
        }
    }

    /// Ends the run although a stage has not ended.
    fn out_of_time(&self) -> Stages {
        tracing::warn!(
            "{NOT_WRITTEN} could not be written in time; with a data directory the next run fetches the missing lines again"
        );
        Stages::OutOfTime
    }

    /// Announces the shutdown if all stages ended before it was announced.
    fn announce_shipping(&mut self) {
        if let Phase::Stopping { until } = self.phase {
            self.phase = Phase::Draining { until };
            let grace = self.grace.as_secs();
            tracing::warn!("shipping the remaining records (at most {grace} s; signal again to stop now)");
        }
    }

    /// Logs the segments that have not been shipped.
    fn say_unshipped(&self, how: &str) {
        for backlog in self.backlogs.iter().filter(|backlog| backlog.lag().segments > 0) {
            let (sink, lag) = (backlog.sink(), backlog.lag());
            let segments = counted(lag.segments, "segment");
            tracing::info!(
                sink,
                segments = lag.segments,
                bytes = lag.bytes,
                "{how}: {segments} of `{sink}` ({})",
                in_bytes(lag.bytes)
            );
        }
    }
}

async fn until(limit: Option<Instant>) {
    match limit {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn reminder() -> Interval {
    let mut reminder = interval_at(Instant::now() + STILL_WAITING, STILL_WAITING);
    reminder.set_missed_tick_behavior(MissedTickBehavior::Delay);
    reminder
}

//! Graceful shutdown: one sequence for every cause (SIGTERM and other signals: `src/daemon/signals.rs`). Causes differ only in how long unfinished lines may take:
//!
//! | cause | unsettled lines | limit |
//! |---|---|---|
//! | end of input | all finish | each line's own |
//! | only lines of closed hosts are left | left for the next start | none |
//! | first signal | of durable sources, requests finish and all else is left for the next start; all others finish | grace, then give up |
//! | `--fail-fast` | given up | 1 s |
//! | give up | `canceled` records, or left for the next start | 1 s, then abort |
//! | second signal, stage error or panic | dropped | now |

use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::{Control, Group, Levers, Parts, Settings, Status, start};
use crate::error::Error;
use crate::schedule::Counts;
use crate::units::counted;

/// How long records may take to be written once the run was given up.
const LAST_RECORDS: Duration = Duration::from_secs(1);

/// How often the log says what is still waited for.
const STILL_WAITING: Duration = Duration::from_secs(5);

/// What a run still waits for once all its lines have records. Each says itself why it waits.
const NOT_WRITTEN: &str = "an output, a journal or a checkpoint";

/// How a run ended, when nothing broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every accepted line was finished: the input ended, or a signal came in good time.
    Finished,
    /// The grace period passed; unfinished lines were given up.
    GaveUp,
    /// Nothing was left but lines of hosts that are closed for longer than `retry.max_retry_after`.
    HostsClosed,
    /// The first failure cancelled the rest.
    FailedFast,
}

/// How far the shutdown has come.
#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// A signal came. It is not known yet which lines are left for the next start.
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

    fn giving_up() -> Self {
        Self::GivingUp { until: Instant::now() + LAST_RECORDS }
    }
}

/// Runs the parts until all is done, or until the shutdown that a cause began is over.
///
/// # Errors
/// A stage's error or panic, and [`Control::Abort`].
pub async fn run(
    parts: Parts,
    settings: &Settings,
    status: &Status,
    controls: impl Stream<Item = Control>,
) -> Result<End, Error> {
    let levers = Levers::default();
    // A request that the drain has not seen yet stands for all that follow.
    let (rotate, rotations) = mpsc::channel(1);
    let mut group = start(parts, settings, status, &levers, rotations);
    let mut controls = std::pin::pin!(controls.fuse());
    let (mut phase, mut end, mut reminder) = (Phase::Running, End::Finished, reminder());
    loop {
        tokio::select! {
            biased;
            // The drain cancelled it, by fail-fast. Before the end of the tasks: the failure may be the last record.
            () = levers.give_up.cancelled(), if !matches!(phase, Phase::GivingUp { .. }) => {
                levers.stop.cancel();
                (phase, end) = (Phase::giving_up(), End::FailedFast);
            }
            // The schedule cancelled it, for closed hosts.
            () = levers.stop.cancelled(), if matches!((phase, end), (Phase::Running, End::Finished)) => {
                end = End::HostsClosed;
            }
            () = levers.stopped.cancelled(), if matches!(phase, Phase::Stopping { .. }) => {
                phase = announce(status, settings.grace, phase);
            }
            joined = group.join() => return finish(&mut group, joined, end).await,
            Some(control) = controls.next() => match (control, phase) {
                (Control::Abort, _) => return interrupted(&mut group, status).await,
                (Control::Rotate, _) => drop(rotate.try_send(())),
                (Control::Stop, Phase::Running) => {
                    levers.stop.cancel();
                    reminder.reset();
                    phase = Phase::stopping(settings.grace);
                }
                // The shutdown has begun already.
                (Control::Stop, _) => {}
            },
            () = until(phase.limit()) => match phase {
                Phase::GivingUp { .. } => return out_of_time(&mut group, end).await,
                _ => (phase, end) = (give_up(&levers, status), End::GaveUp),
            },
            _ = reminder.tick(), if matches!(phase, Phase::Draining { .. }) => remind(status),
        }
    }
}

/// The grace period is over.
fn give_up(levers: &Levers, status: &Status) -> Phase {
    tracing::warn!(unfinished = status.counters().unfinished(), "the grace period is over");
    levers.give_up.cancel();
    Phase::giving_up()
}

async fn finish(group: &mut Group, joined: Result<(), Error>, end: End) -> Result<End, Error> {
    group.abort().await;
    joined.map(|()| end)
}

/// The end of a run of which a stage still waits.
async fn out_of_time(group: &mut Group, end: End) -> Result<End, Error> {
    tracing::warn!(
        "{NOT_WRITTEN} could not be written in time; with a data directory the next run fetches again what is missing"
    );
    finish(group, Ok(()), end).await
}

async fn interrupted(group: &mut Group, status: &Status) -> Result<End, Error> {
    group.abort().await;
    Err(Error::Interrupted { unfinished: status.counters().unfinished() })
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

/// Answers the first signal, once it is known which lines are left for the next start.
fn announce(status: &Status, grace: Duration, phase: Phase) -> Phase {
    let (counters, counts) = (status.counters(), status.view().counts);
    let work = match (counters.unfinished(), counts) {
        (0, _) => "writing what is left to write".to_owned(),
        (_, Counts { waiting: 0, in_flight: 1.., .. }) => {
            format!("finishing {}", counted(counts.in_flight as u64, "request"))
        }
        (unfinished, _) => format!("finishing {}", counted(unfinished, "line")),
    };
    let left = match counters.left.get() {
        0 => String::new(),
        1 => "; 1 line waits for the next start".to_owned(),
        left => format!("; {} wait for the next start", counted(left, "line")),
    };
    tracing::warn!("{work}{left} (at most {} s; signal again to stop now)", grace.as_secs());
    match phase {
        Phase::Stopping { until } => Phase::Draining { until },
        phase => phase,
    }
}

/// Says what is still waited for.
fn remind(status: &Status) {
    if status.counters().unfinished() == 0 {
        tracing::info!("still waiting: {NOT_WRITTEN} cannot be written");
        return;
    }
    let view = status.view();
    let Some(oldest) = &view.oldest else { return };
    let Some(host) = &oldest.host else { return };
    tracing::info!(
        host = %host.name,
        age_s = oldest.age.as_secs(),
        on_the_wire = host.in_flight,
        waiting = host.waiting,
        unfinished = status.counters().unfinished(),
        "still waiting, longest for this host"
    );
}

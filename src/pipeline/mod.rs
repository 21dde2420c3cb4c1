//! The pipeline: the stages of a run, the channels between them, and the shutdown.
//!
//! ```text
//!             stop (to feed and schedule)       give_up (to schedule and work)
//!              ▼                                 ▼
//!  source ──► feed ──► [queue] ──► schedule ──► [ready] ──► work × N
//!    ▲         │ ticket: identity,   │   ▲      job+permit     │ one attempt, no decisions
//!    │         │ window permits      │   └─ [completions] ◄─────┘ job, permit, result
//!    │         │                     └──► [done] ──► drain ──► sinks
//!    └─────────┴───────────────────── settle ◄──[acks]──┘ after every sink has written
//! ```
//!
//! Shippers run beside the stages: each delivers the staged records of a sink to a remote place, and ends after the
//! stages. On fail-fast the drain cancels `give_up`. Released lines go directly from the schedule to acks.
//!
//! Sends that may wait: feed → queue, schedule → done, drain and schedule → acks. Each leads one stage nearer to the
//! sinks, and settle waits for no stage above it, so there is no cycle. Sends that cannot wait: schedule → ready (as
//! many places as permits) and work → completions (as many places as workers).

mod answers;
mod closed_hosts;
mod config;
mod control;
mod counters;
mod desk;
mod dispatch;
mod drain;
mod events;
mod feed;
mod first_host;
mod group;
mod health_changes;
mod heartbeat;
mod input_ahead;
mod lifecycle;
mod lookup;
mod memory_gate;
mod meters;
mod override_ends;
mod parts;
mod questions;
mod releases;
mod request_counts;
mod run_limits;
mod scheduler;
mod settings;
mod settle;
mod shutdown;
mod shutdown_messages;
mod status;
mod status_publisher;
mod token_reader;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use config::{OutputConfig, QueueConfig, ShutdownConfig};
pub use control::Control;
pub use counters::{Counter, Counters, LineCounts, Metrics};
pub use desk::{Desk, HostsAnswer, InForce, NoAnswer, Question, Reconfiguration};
pub use events::{Event, EventKind, Events};
pub use first_host::FirstHost;
pub use group::Group;
pub use heartbeat::{HealthWatch, Heartbeats, StuckTask};
pub use lifecycle::{Lifecycle, RunState};
pub use meters::{MemoryUse, Meters};
pub use parts::Parts;
pub use request_counts::{RequestClass, RequestCounts};
pub use settings::{FailFast, Order, Settings};
pub use shutdown::{End, run};
pub use status::{BottleneckTimes, LeftHosts, Status, View};

use crate::fetch::Fetch;
use crate::item::{Attempt, BodyMemory, Done, Reservation, Window};
use crate::schedule::{BottleneckKind, Core, Job};
use crate::source::{Durability, Source};

/// An accepted line on its way from the feed to the schedule.
enum Accepted {
    /// A line to be fetched.
    Job(Box<Job>),
    /// A line that is settled already.
    Rejected(Done),
}

/// A job that may start now, with its permit for a request and its first memory reservation.
struct Dispatch {
    job: Box<Job>,
    /// The client that makes the attempt; a reload replaces it for later jobs.
    fetch: Arc<dyn Fetch>,
    permit: OwnedSemaphorePermit,
    reservation: Reservation,
}

/// The result of an attempt, and how long it took.
struct Completion {
    job: Box<Job>,
    permit: OwnedSemaphorePermit,
    attempt: Attempt,
    wire: Duration,
}

/// Time since the start of the run, on Tokio's clock.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn instant(&self, at: Duration) -> Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
        self.start + at.min(FAR)
    }
}

/// The tokens that end the stages.
#[derive(Clone, Debug, Default)]
struct Levers {
    /// Stops the feed and the schedule: no line is accepted any more, and no request of a durable source starts. The
    /// schedule itself cancels it when only lines of closed hosts are left.
    stop: CancellationToken,
    /// Cancelled by the schedule after `stop`, once it has counted the lines that are left for the next start.
    stopped: CancellationToken,
    /// Stops the schedule and the workers: unfinished lines are canceled, or left for the next start.
    give_up: CancellationToken,
}

/// Starts every stage, and connects them by channels.
#[expect(clippy::too_many_lines, reason = "the topology stays on one screen")]
fn start(parts: Parts, settings: &Settings, status: &Status, levers: &Levers, rotate: mpsc::Receiver<()>) -> Group {
    let clock = Clock { start: Instant::now() };
    parts.fetch.connections().into_iter().for_each(|counts| status.watch_connections(counts));
    let permits = settings.concurrency.min(settings.workers);
    let (queue, from_queue) = mpsc::channel(settings.queue);
    let (ready, from_ready) = async_channel::bounded(settings.workers);
    let (completions, from_completions) = mpsc::channel(settings.workers);
    let (mut done, from_done) = mpsc::channel(256);
    let (acks, from_acks) = mpsc::channel(16);
    let (mut lookups, from_scheduler) = mpsc::channel(16);
    let is_durable = |source: &Source| source.durability == Durability::Resumable;
    let durable: Vec<bool> = parts.sources.iter().map(is_durable).collect();
    let is_finite = parts.sources.iter().map(|source| source.extent.is_some()).collect();
    let memory = BodyMemory::new(settings.body_memory);
    let meters: Vec<_> = parts.sources.iter().map(Source::meter).collect();
    status.meters().begin(meters::MeteredParts {
        sources: meters.clone(),
        sinks: parts.sinks.iter().filter_map(|sink| sink.meter()).collect(),
        memory: memory.clone(),
        look_ups: parts.fetch.look_ups(),
        commits: parts.settle.as_ref().and_then(|settle| settle.commits()),
    });
    let input_bytes = parts.sources.iter().map(|source| source.extent.map(|extent| extent.bytes)).sum();
    let (mut lines, mut failures, mut services, mut release) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut desks = Vec::new();
    for source in parts.sources {
        desks.push(source.answers);
        lines.push(source.lines);
        failures.extend(source.failure);
        services.extend(source.service);
        // In input order, records would wait for ever for the record of a released line.
        release.push(source.release.filter(|_| settings.order == Order::Completion));
    }
    let mut answers = None;
    if desks.iter().any(Option::is_some) {
        let (stage, settled, asked) = answers::Answers::before(done, lookups, desks.clone());
        (answers, done, lookups) = (Some(stage), settled, asked);
    }
    let (token_desk, token_reader) = token_reader::token_reader(parts.tokens);

    let window = Window::new(settings.window, settings.window_bytes);
    let key =
        if settings.workers < settings.concurrency { BottleneckKind::Workers } else { BottleneckKind::Concurrency };

    let feed = feed::Feed {
        lines: feed::InTurns::new(lines),
        meters,
        failures: failures.into_iter().collect(),
        durable: durable.clone(),
        is_finite,
        window: window.clone(),
        largest_body: settings.largest_body,
        revalidation: settings.revalidation,
        first_host: settings.first_host.clone(),
        queue,
        stop: levers.stop.clone(),
        status: status.clone(),
        clock,
    };
    let schedule = crate::schedule::Settings {
        durable: durable.clone(),
        permits: u32::try_from(permits).unwrap_or(u32::MAX),
        workers: u32::try_from(settings.workers).unwrap_or(u32::MAX),
        in_order: settings.order == Order::Input,
        ..settings.schedule.clone()
    };
    let core = Core::new(schedule);
    status.meters().begin_schedule(&core);
    let scheduler = scheduler::Scheduler {
        core,
        overrides: parts.overrides,
        last_overrides: Arc::default(),
        questions: parts.questions,
        lookups,
        scan: None,
        reconfigured: Vec::new(),
        queue: from_queue,
        ready,
        completions: from_completions,
        done,
        acks: acks.clone(),
        releases: parts.releases,
        tokens: token_desk,
        can_release: release.iter().map(Option::is_some).collect(),
        permits: Arc::new(Semaphore::new(permits)),
        concurrency: permits,
        fetch: Arc::clone(&parts.fetch),
        memory: memory_gate::MemoryGate::new(memory, settings.largest_body),
        stop: Some(levers.stop.clone()),
        stopped: levers.stopped.clone(),
        give_up: levers.give_up.clone(),
        status: status.clone(),
        requests: status.meters().requests().cloned(),
        publisher: status_publisher::StatusPublisher::new(status.clone(), parts.hosts, &clock),
        limits: run_limits::RunLimits {
            window,
            permits: key,
            order: settings.order,
            input_open: true,
            ahead: input_ahead::InputAhead::new(input_bytes),
            last: None,
            status: status.clone(),
        },
        clock,
    };
    let drain = drain::Drain {
        done: from_done,
        next: Vec::new(),
        lookups: from_scheduler,
        sinks: parts.sinks,
        rotate,
        order: settings.order,
        fail_fast: settings.fail_fast,
        acks,
        give_up: levers.give_up.clone(),
        status: status.clone(),
        came: 0,
        uncommitted: 0,
        written: Instant::now(),
        uncommitted_since: Instant::now(),
    };

    let mut group = Group::watched_by(status.heartbeats().clone());
    group.spawn("feed", feed.run());
    services.into_iter().for_each(|service| group.spawn("source", service));
    group.spawn("schedule", scheduler.run());
    for _ in 0..settings.workers {
        let (ready, completions) = (from_ready.clone(), completions.clone());
        let work = work::work(ready, completions, levers.give_up.child_token());
        match &parts.threads {
            Some(threads) => group.spawn_on(threads, "work", work),
            None => group.spawn("work", work),
        }
    }
    group.spawn_service("tokens", token_reader.run());
    if let Some(answers) = answers {
        group.spawn("answers", answers.run());
    }
    group.spawn("drain", drain.run());
    group.spawn("settle", settle::settle(from_acks, parts.settle, durable, release, desks, status.clone()));
    for shipper in parts.shippers {
        group.spawn_shipper("ship", shipper.run());
    }
    group
}

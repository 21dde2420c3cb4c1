//! The scheduler task around the pure core: passes it jobs, completions and the time, and carries out its decisions.
//!
//! In: the queue and the completions. Out: `ready`, for a job that has its permit and memory and that its host allows
//! to start now; and `done`. While `done` is full no job is dispatched, but all inputs are handled.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::desk::{HostsAnswer, InForce};
use super::lookup::Lookup;
use super::memory_gate::MemoryGate;
use super::run_limits::{LookAgain, RunLimits};
use super::settle::Ack;
use super::status_publisher::StatusPublisher;
use super::token_reader::{FileReport, TokenDesk};
use super::{Accepted, Clock, Completion, Dispatch, Question, RequestCounts, Status};
use crate::error::BoxError;
use crate::fetch::Fetch;
use crate::item::{Done, Reservation};
use crate::schedule::{Core, Counts, HostCounts, HostScan, LineAnswer, LineScan, Overrides, ReleaseScope, StallReason};
use crate::state::LastRun;

/// The most completions, or queued lines, that one turn takes.
const BATCH: usize = 128;

pub(super) struct Scheduler {
    pub core: Core,
    pub queue: mpsc::Receiver<Accepted>,
    pub ready: async_channel::Sender<Dispatch>,
    pub completions: mpsc::Receiver<Completion>,
    pub done: mpsc::Sender<Done>,
    pub acks: mpsc::Sender<Ack>,
    /// Requests to give lines back to their sources; `None` once no more can come.
    pub releases: Option<mpsc::Receiver<ReleaseScope>>,
    /// Overrides at the start of the run.
    pub overrides: Overrides,
    /// Overrides as of the last report of those that ended.
    pub last_overrides: Arc<Overrides>,
    /// Questions of the API and verbs; `None` once no more can come.
    pub questions: Option<mpsc::Receiver<Question>>,
    /// Passes on questions for lines that have left the schedule.
    pub lookups: mpsc::Sender<Lookup>,
    /// The current scan of all hosts or lines.
    pub scan: Option<Scan>,
    /// Replies to send once a reload or override is in force.
    pub reconfigured: Vec<oneshot::Sender<()>>,
    pub tokens: TokenDesk,
    /// Per source: whether it takes lines back.
    pub can_release: Vec<bool>,
    pub permits: Arc<Semaphore>,
    /// The number of permits.
    pub concurrency: usize,
    pub fetch: Arc<dyn Fetch>,
    pub memory: MemoryGate,
    /// Stops requests of durable sources; `None` once cancelled.
    pub stop: Option<CancellationToken>,
    /// Cancelled once the lines that are left for the next start are counted.
    pub stopped: CancellationToken,
    pub give_up: CancellationToken,
    pub status: Status,
    /// Counts requests in a watched run.
    pub requests: Option<Arc<RequestCounts>>,
    pub publisher: StatusPublisher,
    pub limits: RunLimits,
    pub clock: Clock,
}

/// A scan of all hosts or lines that takes several turns.
pub(super) enum Scan {
    Hosts(HostScan, oneshot::Sender<HostsAnswer>),
    Counts(HostScan, oneshot::Sender<HostCounts>),
    Line(LineScan, oneshot::Sender<LineAnswer>),
    /// The next place, and the number of lines so far that a stop would cancel.
    Held(usize, usize, oneshot::Sender<InForce>),
}

/// What woke the task.
enum Event {
    Completions,
    /// The workers ended while they held jobs; only an abort causes this.
    Closed,
    Lines,
    InputEnded,
    Memory(Option<Reservation>),
    /// No request of a durable source, or of any source, may start.
    Stop,
    Release(ReleaseScope),
    ReleasesEnded,
    Asked(Question),
    QuestionsEnded,
    TokenFile(FileReport),
    /// A timer, or room in `done` or `acks`.
    Look,
}

impl Scheduler {
    pub async fn run(mut self) -> Result<(), BoxError> {
        let (mut lines, mut completions) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        self.restore();
        let mut timer = Box::pin(sleep_until(Instant::now()));
        loop {
            // One time for the whole turn: a line that got ready between two would be neither dispatched nor waited
            // for.
            let now = self.clock.now();
            self.go_on(now);
            self.send(now);
            let counts = self.core.counts();
            if !self.limits.input_open && counts == Counts::default() {
                let outlook = self.limits.look(&mut self.core, &self.memory, now);
                self.publisher.publish(&mut self.core, outlook, now);
                self.stopped.cancel();
                return Ok(());
            }
            self.tokens.follow(&mut self.core, self.status.events());
            let outlook = |core: &mut Core| self.limits.look(core, &self.memory, now);
            let view_at = self.publisher.look(&mut self.core, outlook, now);
            // While settled lines wait, nothing is dispatched, so the core's timer would wake the task in vain.
            let core_at = if self.core.has_settled() { None } else { self.core.next_wakeup(now) };
            let look_again = self.leave_closed_hosts(now);
            let wake_at = [core_at, view_at, look_again.at()].into_iter().flatten().min();
            let reached = self.reached_limit(now);
            self.fetch.limit_reached(reached);
            let event = self.wait(&mut lines, &mut completions, timer.as_mut(), wake_at, look_again).await;
            // A wake-up by the status's own timer must not make the status stale again.
            self.publisher.stale |= !matches!(event, Event::Look) || core_at.is_some_and(|at| at <= self.clock.now());
            match event {
                Event::Closed => return Err("a worker ended while it held a job".into()),
                Event::Completions => self.take_completions(&mut completions),
                Event::Lines => self.take_lines(&mut lines),
                event => self.react(event),
            }
        }
    }

    /// Handles events other than completions and lines.
    fn react(&mut self, event: Event) {
        match event {
            Event::InputEnded => self.limits.end_input(),
            Event::Memory(reservation) => self.memory.keep(reservation),
            Event::Stop => self.stop(),
            Event::Release(scope) => self.release(scope),
            Event::ReleasesEnded => self.releases = None,
            Event::Asked(question) => self.answer(question),
            Event::QuestionsEnded => self.questions = None,
            Event::TokenFile((file, refreshed)) => self.tokens.note(&mut self.core, file, refreshed, self.clock.now()),
            Event::Look | Event::Closed | Event::Completions | Event::Lines => {}
        }
    }

    /// Restores the overrides, hosts, pace and robots.txt files of the previous run.
    fn restore(&mut self) {
        let (LastRun { ended_ago, robots }, hosts) = (self.publisher.load_last_run(), self.publisher.load_hosts());
        // The rest of a pause was read before `now`, so the pause can only end later.
        let now = self.clock.now();
        if let Some(ended_ago) = ended_ago {
            self.core.resume_pace(ended_ago, now);
        }
        self.core.set_overrides(&std::mem::take(&mut self.overrides), now);
        self.core.restore(hosts, now);
        self.core.restore_robots(robots, now);
    }

    /// Sends settled and released lines on, and dispatches jobs if no settled line is left.
    fn send(&mut self, now: Duration) {
        self.publisher.save_robots(&mut self.core);
        self.tell_of_health();
        self.tell_of_override_ends(now);
        self.hand_out();
        self.hand_back();
        self.count_left();
        if self.core.has_settled() {
            self.core.stall(StallReason::Output, now);
        } else {
            self.core.resume(StallReason::Output, now);
        }
        self.dispatch(now);
        self.core.note_memory(self.memory.room());
    }

    /// Waits for the next event. Cancel safe: an item taken out of a channel is always returned.
    async fn wait(
        &mut self,
        lines: &mut Vec<Accepted>,
        completions: &mut Vec<Completion>,
        mut timer: Pin<&mut Sleep>,
        wake_at: Option<Duration>,
        look_again: LookAgain,
    ) -> Event {
        if let Some(at) = wake_at {
            timer.as_mut().reset(self.clock.instant(at));
        }
        let (counts, has_work) = (self.core.counts(), self.has_work());
        tokio::select! {
            biased;
            // One token at a time, because each costs time in every turn; every cause of `give_up` cancels `stop`, too.
            () = self.stop.as_ref().unwrap_or(&self.give_up).cancelled(), if !self.core.is_given_up() => Event::Stop,
            n = self.completions.recv_many(completions, BATCH), if counts.in_flight > 0 => {
                if n == 0 { Event::Closed } else { Event::Completions }
            }
            n = self.queue.recv_many(lines, BATCH), if self.limits.input_open => {
                if n == 0 { Event::InputEnded } else { Event::Lines }
            }
            _ = self.done.reserve(), if counts.outgoing > 0 => Event::Look,
            _ = self.acks.reserve(), if counts.released > 0 => Event::Look,
            scope = next_of(&mut self.releases), if self.releases.is_some() => {
                scope.map_or(Event::ReleasesEnded, Event::Release)
            }
            report = self.tokens.next() => Event::TokenFile(report),
            reservation = self.memory.next(), if self.memory.is_waiting() => Event::Memory(reservation),
            question = next_of(&mut self.questions), if self.questions.is_some() && self.scan.is_none() => {
                question.map_or(Event::QuestionsEnded, Event::Asked)
            }
            () = timer, if wake_at.is_some() => Event::Look,
            () = self.limits.window.gets_full(), if look_again == LookAgain::WhenFull => Event::Look,
            // Other tasks run first.
            () = tokio::task::yield_now(), if has_work => Event::Look,
        }
    }

    /// Stops requests of all or of durable sources; cancels `stopped` once the lines left for the next start are
    /// counted.
    fn stop(&mut self) {
        let now = self.clock.now();
        self.stop = None;
        if self.give_up.is_cancelled() {
            return self.core.give_up(now);
        }
        let queued: Vec<_> = std::iter::from_fn(|| self.queue.try_recv().ok()).collect();
        queued.into_iter().for_each(|line| self.take_line(line, now));
        self.core.stop(now);
        self.count_left();
        let outlook = self.limits.look(&mut self.core, &self.memory, now);
        self.publisher.publish_view(&self.core, outlook, now);
        self.stopped.cancel();
    }

    fn count_left(&self) {
        let counted = &self.status.counters().left;
        counted.add(self.core.left() - counted.get());
    }

    fn take_completions(&mut self, completions: &mut Vec<Completion>) {
        let now = self.clock.now();
        for Completion { job, permit, attempt, wire } in completions.drain(..) {
            drop(permit);
            if let Some(counts) = &self.requests {
                counts.note(&attempt, wire);
            }
            self.core.complete(job, attempt, wire, now);
        }
    }

    fn take_lines(&mut self, lines: &mut Vec<Accepted>) {
        let now = self.clock.now();
        lines.drain(..).for_each(|line| self.take_line(line, now));
    }

    fn take_line(&mut self, line: Accepted, now: Duration) {
        match line {
            Accepted::Job(job) => self.core.push(job, now),
            Accepted::Rejected(done) => self.core.push_settled(done),
        }
    }

    /// Sends settled lines on, as far as there is room.
    fn hand_out(&mut self) {
        while self.core.has_settled() {
            let slot = match self.done.try_reserve() {
                Ok(slot) => Some(slot),
                Err(mpsc::error::TrySendError::Full(())) => return,
                // The drain has ended: the run is shutting down.
                Err(mpsc::error::TrySendError::Closed(())) => None,
            };
            let Some(done) = self.core.take_settled() else { return };
            if let Some(slot) = slot {
                slot.send(done);
            }
        }
    }
}

/// The next request, or `None` once no more can come.
async fn next_of<T>(requests: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    requests.as_mut()?.recv().await
}

//! The task around the pure core: brings it jobs, verdicts and the time, and carries what it says.
//!
//! In: the queue and the verdicts. Out: `ready`, where a job goes only with its wire permit, its memory and its host's
//! permission to go now; and `done`. While `done` is full nothing is dispatched, and everything is still heard.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::publisher::Publisher;
use super::{Board, Clock, Dispatch, Fed, Verdict};
use crate::error::BoxError;
use crate::item::{Done, Held, Memory, Outcome};
use crate::schedule::{Core, Limit, Need};
use crate::state::Hosts;

/// Verdicts, and queued lines, taken at once.
const BATCH: usize = 128;

pub(super) struct Schedule {
    pub core: Core,
    pub queue: mpsc::Receiver<Fed>,
    pub ready: async_channel::Sender<Dispatch>,
    pub verdicts: mpsc::Receiver<Verdict>,
    pub done: mpsc::Sender<Done>,
    pub permits: Arc<Semaphore>,
    pub memory: BodyMemory,
    /// Per source: whether its unfinished lines are left for the next start.
    pub durable: Vec<bool>,
    pub give_up: CancellationToken,
    pub board: Board,
    /// Who remembers hosts in trouble, if anybody does.
    pub hosts: Option<Box<dyn Hosts>>,
    pub clock: Clock,
}

/// Body memory as the scheduler asks for it: at once, or by waiting for one amount at a time.
pub(super) struct BodyMemory {
    memory: Memory,
    /// The most that one line can need.
    max_body: u64,
    waiting: Option<BoxFuture<'static, Option<Held>>>,
    waited_for: Option<Held>,
    /// Whether the oldest line might go if only the overdraft came back.
    overdraft_is_out: bool,
}

/// What woke the task.
enum Event {
    Verdicts,
    /// The workers are gone, with jobs in their hands: never while the group is well.
    Closed,
    Lines,
    InputEnded,
    Memory(Option<Held>),
    GiveUp,
    /// A timer, or room in `done`.
    Look,
}

impl Schedule {
    pub async fn run(mut self) -> Result<(), BoxError> {
        let mut input_open = true;
        let (mut lines, mut verdicts) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut publisher = Publisher::new(&self.clock);
        if let Some(hosts) = &mut self.hosts {
            self.core.recall(hosts.recall(), self.clock.now());
        }
        let mut timer = Box::pin(sleep_until(Instant::now()));
        loop {
            // One time for all of this turn: between two, a line could get ready that is neither taken nor waited for.
            let now = self.clock.now();
            self.hand_out();
            if self.core.has_settled() {
                self.core.stall(now);
            } else {
                self.core.resume(now);
            }
            self.dispatch(now);
            let counts = self.core.counts();
            if !input_open && counts.waiting + counts.in_flight + counts.outgoing == 0 {
                publisher.publish(&mut self, input_open, now);
                return Ok(());
            }
            let view_at = publisher.look(&mut self, input_open, now);
            // While records wait, a timer of the core has nothing to set going.
            let core_at = if self.core.has_settled() { None } else { self.core.next_wakeup(now) };
            let wake_at = [core_at, view_at].into_iter().flatten().min();
            let event = self.wait(input_open, &mut lines, &mut verdicts, timer.as_mut(), wake_at).await;
            // The board's own timer is no news, or it would go on for ever.
            publisher.stale |= !matches!(event, Event::Look) || core_at.is_some_and(|at| at <= self.clock.now());
            match event {
                Event::Closed => return Err("a worker is gone with its job".into()),
                Event::Verdicts => self.take_verdicts(&mut verdicts),
                Event::Lines => self.take_lines(&mut lines),
                Event::InputEnded => input_open = false,
                Event::Memory(held) => self.memory.waited_for = held,
                Event::GiveUp => self.core.give_up(self.clock.now()),
                Event::Look => {}
            }
        }
    }

    /// Waits for whatever comes first; takes nothing out of a channel that it does not return.
    async fn wait(
        &mut self,
        input_open: bool,
        lines: &mut Vec<Fed>,
        verdicts: &mut Vec<Verdict>,
        mut timer: Pin<&mut Sleep>,
        wake_at: Option<Duration>,
    ) -> Event {
        if let Some(at) = wake_at {
            timer.as_mut().reset(self.clock.instant(at));
        }
        let counts = self.core.counts();
        tokio::select! {
            biased;
            () = self.give_up.cancelled(), if !self.core.is_given_up() => Event::GiveUp,
            n = self.verdicts.recv_many(verdicts, BATCH), if counts.in_flight > 0 => {
                if n == 0 { Event::Closed } else { Event::Verdicts }
            }
            n = self.queue.recv_many(lines, BATCH), if input_open => {
                if n == 0 { Event::InputEnded } else { Event::Lines }
            }
            _ = self.done.reserve(), if counts.outgoing > 0 => Event::Look,
            held = self.memory.next(), if self.memory.waiting.is_some() => Event::Memory(held),
            () = timer, if wake_at.is_some() => Event::Look,
        }
    }

    fn take_verdicts(&mut self, verdicts: &mut Vec<Verdict>) {
        let now = self.clock.now();
        for Verdict { job, permit, attempt, wire } in verdicts.drain(..) {
            drop(permit);
            self.core.verdict(job, attempt, wire, now);
        }
    }

    fn take_lines(&mut self, lines: &mut Vec<Fed>) {
        let now = self.clock.now();
        for line in lines.drain(..) {
            match line {
                Fed::Job(job) => self.core.push(job, now),
                Fed::Rejected(done) => self.core.push_settled(done),
            }
        }
    }

    /// Sends settled lines on, as far as there is room.
    fn hand_out(&mut self) {
        while self.core.has_settled() {
            let slot = match self.done.try_reserve() {
                Ok(slot) => Some(slot),
                Err(mpsc::error::TrySendError::Full(())) => return,
                // The drain is gone, and the group is on its way down.
                Err(mpsc::error::TrySendError::Closed(())) => None,
            };
            let Some(done) = self.core.take_settled() else { return };
            let left_for_next_start = done.record.outcome == Outcome::Canceled && self.durable[done.ticket.source];
            if let Some(slot) = slot.filter(|_| !left_for_next_start) {
                slot.send(done);
            }
        }
    }

    /// Sends jobs to the workers while there are permits, memory, and lines that may start now.
    fn dispatch(&mut self, now: Duration) {
        while !self.core.has_settled() {
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
            let Some(need) = self.core.peek(now) else { return self.memory.stop_waiting() };
            let dispatched = match self.memory.take(need) {
                Some(held) => self.core.take(now).map(|job| Dispatch { job, permit, held }),
                None => self.dispatch_oldest(permit, now),
            };
            let Some(dispatch) = dispatched else { return };
            // There is room: `ready` holds as many as there are permits.
            if self.ready.try_send(dispatch).is_err() {
                return;
            }
        }
    }

    /// With no memory left, the oldest line goes on credit: what holds the memory may be waiting for it.
    fn dispatch_oldest(&mut self, permit: OwnedSemaphorePermit, now: Duration) -> Option<Dispatch> {
        let held = self.memory.overdraw()?;
        let job = self.core.take_oldest(now)?;
        Some(Dispatch { job, permit, held })
    }

    /// What holds the run back now.
    pub fn limit(&self, now: Duration) -> Limit {
        if self.core.has_settled() {
            Limit::Sink
        } else if self.memory.waiting.is_some() {
            Limit::BodyMemory
        } else {
            self.core.limit(now)
        }
    }
}

impl BodyMemory {
    pub fn new(memory: Memory, max_body: u64) -> Self {
        Self { memory, max_body, waiting: None, waited_for: None, overdraft_is_out: false }
    }

    /// Takes what the next line needs, or begins to wait for it.
    fn take(&mut self, need: Need) -> Option<Held> {
        if let Some(mut held) = self.waited_for.take()
            && held.bytes() >= need.memory
        {
            held.shrink_to(need.memory);
            return Some(held);
        }
        if self.waiting.is_some() {
            return None;
        }
        let held = self.memory.try_hold(need.memory);
        if held.is_none() {
            let memory = self.memory.clone();
            self.waiting = Some(Box::pin(async move { memory.hold(need.memory).await }));
        }
        held
    }

    /// Lends the oldest line what it can need at most, unless the overdraft is out.
    fn overdraw(&mut self) -> Option<Held> {
        let held = self.memory.try_overdraft(self.max_body);
        self.overdraft_is_out = held.is_none();
        held
    }

    /// Nobody needs memory any more: what was waited for goes home.
    fn stop_waiting(&mut self) {
        self.waiting = None;
        self.waited_for = None;
    }

    /// What was waited for, or nothing when the overdraft came back: then the oldest line may have become another one.
    async fn next(&mut self) -> Option<Held> {
        let Some(waiting) = &mut self.waiting else { return std::future::pending().await };
        tokio::select! {
            biased;
            held = waiting => {
                self.waiting = None;
                held
            }
            () = self.memory.overdraft(), if self.overdraft_is_out => {
                self.overdraft_is_out = false;
                None
            }
        }
    }
}

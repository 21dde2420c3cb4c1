//! The drain stage: writes records in batches to every sink, in completion or input order; then acknowledges their
//! tickets, and periodically commits (requests a checkpoint).

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::lookup::Lookup;
use super::settle::Ack;
use super::{FailFast, Order, Status};
use crate::error::BoxError;
use crate::in_order::InOrder;
use crate::item::{Done, Outcome, Record, Ticket};
use crate::sink::{EndReason, Sink};

/// Records per batch, at most.
const BATCH: usize = 256;

/// The least time between two batches, as long as the batch has room and other lines are under way: writing a
/// batch wakes a thread, which costs as much as encoding dozens of records.
const GATHER: Duration = Duration::from_millis(2);

/// Records between two commits, at most: recovery after a crash reads up to this many again.
const COMMIT_EVERY: usize = 4096;

/// The time between two commits while records come, at most: until then outputs may not be flushed.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// How long the drain is idle before it commits.
const IDLE: Duration = Duration::from_millis(200);

pub(super) struct Drain {
    pub done: mpsc::Receiver<Done>,
    /// Records taken out of `done` while a sink was writing, to answer a lookup.
    pub next: Vec<Done>,
    /// Questions for lines that have left the schedule.
    pub lookups: mpsc::Receiver<Lookup>,
    pub sinks: Vec<Box<dyn Sink>>,
    /// Requests to rotate the outputs.
    pub rotate: mpsc::Receiver<()>,
    pub order: Order,
    pub fail_fast: FailFast,
    pub acks: mpsc::Sender<Ack>,
    pub give_up: CancellationToken,
    pub status: Status,
    /// Records received so far.
    pub came: u64,
    /// Records written since the last commit.
    pub uncommitted: usize,
    /// When the last batch was written, or the run began.
    pub written: Instant,
    /// When the first record since the last commit was written.
    pub uncommitted_since: Instant,
}

/// What the drain does next.
enum Event {
    Came,
    Ended,
    /// No record came for [`IDLE`].
    Idle,
    /// A sink is due to rotate.
    Due,
    /// All sinks rotate.
    Rotate,
    Asked(Lookup),
}

impl Drain {
    pub async fn run(mut self) -> Result<(), BoxError> {
        let mut came = Vec::with_capacity(BATCH);
        let mut waiting = InOrder::default();
        loop {
            match self.wait(&mut came).await {
                Event::Ended => break,
                Event::Idle => drop(self.commit().await?),
                Event::Due => self.end_file(EndReason::Rotation).await?,
                Event::Rotate => {
                    self.sinks.iter_mut().for_each(|sink| sink.request_rotation());
                    self.end_file(EndReason::Rotation).await?;
                }
                Event::Asked(lookup) => lookup.answer(&[], &waiting, &[]),
                Event::Came => {
                    self.gather(&mut came).await;
                    self.take(&mut came, &mut waiting).await?;
                }
            }
        }
        // Lines left for the next start leave gaps; lines after a gap still get their records.
        let rest: Vec<Done> = waiting.drain().collect();
        self.write(rest.into_iter(), &waiting).await?;
        self.end_file(EndReason::Shutdown).await
    }

    async fn wait(&mut self, came: &mut Vec<Done>) -> Event {
        if !self.next.is_empty() {
            came.append(&mut self.next);
            self.came += came.len() as u64;
            return Event::Came;
        }
        let idle_at = Instant::now() + IDLE;
        tokio::select! {
            biased;
            () = any_due(&mut self.sinks) => Event::Due,
            Some(()) = self.rotate.recv() => Event::Rotate,
            n = self.done.recv_many(came, BATCH) => {
                self.came += n as u64;
                if n == 0 { Event::Ended } else { Event::Came }
            }
            Some(lookup) = self.lookups.recv() => Event::Asked(lookup),
            () = sleep_until(idle_at), if self.uncommitted > 0 => Event::Idle,
        }
    }

    /// Collects more records until the batch is full, its time is over, or no more are to come.
    async fn gather(&mut self, came: &mut Vec<Done>) {
        let mut over = pin!(sleep_until(self.written + GATHER));
        while came.len() < BATCH && self.awaits_records() {
            let room = BATCH - came.len();
            tokio::select! {
                biased;
                () = &mut over => return,
                n = self.done.recv_many(came, room) => {
                    self.came += n as u64;
                    if n == 0 {
                        return;
                    }
                }
            }
        }
    }

    /// Whether records of accepted lines are still to come.
    fn awaits_records(&self) -> bool {
        let counters = self.status.counters();
        counters.accepted.get() > self.came + counters.released.get() + counters.left.get()
    }

    /// Writes the records; in input order, those before which no record is missing.
    async fn take(&mut self, came: &mut Vec<Done>, waiting: &mut InOrder<Done>) -> Result<(), BoxError> {
        if self.order == Order::Completion {
            return self.write(came.drain(..), waiting).await;
        }
        for done in came.drain(..) {
            waiting.insert(done.ticket.ordinal, done);
        }
        while let Some(first) = waiting.pop() {
            let rest = std::iter::from_fn(|| waiting.pop()).take(BATCH - 1);
            let batch: Vec<Done> = std::iter::once(first).chain(rest).collect();
            self.write(batch.into_iter(), waiting).await?;
        }
        Ok(())
    }

    /// Writes records to every sink, then acknowledges their tickets.
    async fn write(&mut self, done: impl Iterator<Item = Done>, held: &InOrder<Done>) -> Result<(), BoxError> {
        // Always the same capacity, so that the allocator reuses the memory of the last batch.
        let (mut tickets, mut records) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        for Done { ticket, record } in done {
            tickets.push(ticket);
            records.push(record);
        }
        if records.is_empty() {
            return Ok(());
        }
        for number in 0..self.sinks.len() {
            self.write_to(number, &records, &tickets, held).await?;
        }
        self.written = Instant::now();
        self.count(&records);
        if self.uncommitted == 0 {
            self.uncommitted_since = self.written;
        }
        self.uncommitted += records.len();
        // The records and their bodies' memory are freed before the send may wait.
        drop(records);
        // The channel is closed only when the run is ending already.
        let _ = self.acks.send(Ack::Written(tickets)).await;
        if self.uncommitted >= COMMIT_EVERY || self.uncommitted_since.elapsed() >= COMMIT_WITHIN {
            drop(self.commit().await?);
        }
        Ok(())
    }

    /// Writes a batch to a sink, and answers lookups meanwhile.
    async fn write_to(
        &mut self,
        sink: usize,
        records: &[Box<Record>],
        tickets: &[Ticket],
        held: &InOrder<Done>,
    ) -> Result<(), BoxError> {
        let mut written = pin!(self.sinks[sink].write(records));
        loop {
            tokio::select! {
                biased;
                written = &mut written => return written,
                Some(lookup) = self.lookups.recv() => {
                    while self.next.len() < BATCH && let Ok(done) = self.done.try_recv() {
                        self.next.push(done);
                    }
                    lookup.answer(tickets, held, &self.next);
                }
            }
        }
    }

    /// Requests a checkpoint of all records written so far. The receiver resolves once it is saved.
    async fn commit(&mut self) -> Result<oneshot::Receiver<()>, BoxError> {
        let mut marks = Vec::new();
        for sink in &mut self.sinks {
            marks.extend(sink.flush().await?);
        }
        self.uncommitted = 0;
        let (answer, answered) = oneshot::channel();
        let _ = self.acks.send(Ack::Commit(marks, answer)).await;
        Ok(answered)
    }

    /// Lets the sinks finish their files. Their records are committed first: users may take a finished file away.
    async fn end_file(&mut self, end: EndReason) -> Result<(), BoxError> {
        // No reply: the settle stage has ended, and the run is shutting down.
        if self.commit().await?.await.is_ok() {
            for sink in &mut self.sinks {
                sink.end_file(end).await?;
            }
            if end == EndReason::Rotation {
                // Before anything is written to the new files: a recovery may not find the old ones any more.
                let _ = self.commit().await?.await;
            }
        }
        Ok(())
    }

    fn count(&self, records: &[Box<Record>]) {
        let count = |wanted: fn(Outcome) -> bool| records.iter().filter(|record| wanted(record.outcome)).count() as u64;
        let not_ok = count(|outcome| outcome != Outcome::Ok);
        let metrics = self.status.metrics();
        self.status.counters().recorded.add(records.len() as u64);
        metrics.not_ok.add(not_ok);
        metrics.canceled.add(count(|outcome| outcome == Outcome::Canceled));
        if self.fail_fast == FailFast::Yes && not_ok > 0 {
            self.give_up.cancel();
        }
    }
}

/// Waits until a sink is due to rotate.
async fn any_due(sinks: &mut [Box<dyn Sink>]) {
    let mut due: Vec<_> = sinks.iter_mut().map(|sink| sink.due()).collect();
    std::future::poll_fn(|cx| {
        let any = due.iter_mut().any(|due| due.poll_unpin(cx).is_ready());
        if any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

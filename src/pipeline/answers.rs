//! The answers stage: lets sources that read answers read the settled records of their lines; passes all other records
//! on at once. It exists only in a run with such a source. Next: `drain`. Lookups pass through it to the drain.

use std::collections::{BTreeMap, VecDeque};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::lookup::Lookup;
use crate::error::BoxError;
use crate::item::{AnswerDesk, Done, LinePosition, ReaderGone, Record, Ticket};
use crate::schedule::LineAnswer;

/// The most records taken in to answer a lookup while the drain takes none.
const MOST_NEXT: usize = 256;

pub(super) struct Answers {
    /// Per source: the desk at which its records are read.
    pub desks: Vec<Option<AnswerDesk>>,
    pub settled: mpsc::Receiver<Done>,
    pub done: mpsc::Sender<Done>,
    /// Questions for lines that have left the schedule.
    pub lookups: mpsc::Receiver<Lookup>,
    /// Receives lookups of lines that are not in this stage.
    pub drain: mpsc::Sender<Lookup>,
}

/// The ordinal of a line, and its record after the source has read it.
type ReadAnswer = (u64, Result<Box<Record>, ReaderGone>);

/// The lines in the stage.
#[derive(Default)]
struct Held {
    /// Per source: the desk at which its records are read.
    desks: Vec<Option<AnswerDesk>>,
    /// Tickets of lines whose answers are being read, by ordinal: at most one a source, which has one line under way.
    read: BTreeMap<u64, Ticket>,
    reading: FuturesUnordered<BoxFuture<'static, ReadAnswer>>,
    /// Records for the drain, in order.
    next: VecDeque<Done>,
}

impl Answers {
    /// Puts a stage in front of these channels to the drain; returns it with the channels into it.
    pub fn before(
        done: mpsc::Sender<Done>,
        drain: mpsc::Sender<Lookup>,
        desks: Vec<Option<AnswerDesk>>,
    ) -> (Self, mpsc::Sender<Done>, mpsc::Sender<Lookup>) {
        let (to_settled, settled) = mpsc::channel(done.max_capacity());
        let (to_lookups, lookups) = mpsc::channel(drain.max_capacity());
        (Self { desks, settled, done, lookups, drain }, to_settled, to_lookups)
    }

    /// Ends when its input has ended and the sources have read their last records.
    pub async fn run(self) -> Result<(), BoxError> {
        let Self { desks, mut settled, done, mut lookups, drain } = self;
        let (mut held, mut is_open) = (Held { desks, ..Held::default() }, true);
        while is_open || !held.is_empty() {
            tokio::select! {
                biased;
                Some(read) = held.reading.next() => held.end_reading(read)?,
                slot = done.reserve(), if !held.next.is_empty() => {
                    // The channel is closed only when the run is ending already.
                    if let (Some(done), Ok(slot)) = (held.next.pop_front(), slot) {
                        slot.send(done);
                    }
                }
                settled = settled.recv(), if is_open && held.next.is_empty() => match settled {
                    Some(settled) => held.take(settled),
                    None => is_open = false,
                },
                Some(lookup) = lookups.recv() => {
                    while held.next.len() < MOST_NEXT && let Ok(settled) = settled.try_recv() {
                        held.take(settled);
                    }
                    held.answer(lookup, &drain);
                }
            }
        }
        Ok(())
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.read.is_empty() && self.next.is_empty()
    }

    fn take(&mut self, settled: Done) {
        match self.desks[settled.ticket.source].clone() {
            None => self.next.push_back(settled),
            Some(desk) => self.begin_reading(desk, settled),
        }
    }

    /// Answers a lookup of a line in this stage, or passes it on to the drain.
    fn answer(&self, lookup: Lookup, drain: &mpsc::Sender<Lookup>) {
        let is_it = |ticket: &Ticket| lookup.key.names(ticket);
        match () {
            () if self.read.values().any(is_it) => lookup.say(LineAnswer::ReadBySource),
            () if self.next.iter().any(|done| is_it(&done.ticket)) => lookup.say(LineAnswer::WaitingForSink),
            () => lookup.pass_on(drain),
        }
    }

    fn begin_reading(&mut self, desk: AnswerDesk, Done { ticket, record }: Done) {
        let ordinal = ticket.ordinal;
        self.read.insert(ordinal, ticket);
        self.reading.push(Box::pin(async move { (ordinal, desk.read(record).await) }));
    }

    fn end_reading(&mut self, (ordinal, record): ReadAnswer) -> Result<(), BoxError> {
        let record = record.map_err(|ReaderGone| "the thread in which a source reads answers has ended")?;
        if let Some(mut ticket) = self.read.remove(&ordinal) {
            ticket.position = record.page.clone().map(LinePosition::Page);
            self.next.push_back(Done { ticket, record });
        }
        Ok(())
    }
}

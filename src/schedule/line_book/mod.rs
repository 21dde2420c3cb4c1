//! The line book: unsettled lines in the order of their ordinals, and settled and released ones until they are taken.
//!
//! In: the moves of lines. Out: the oldest unsettled line (the low-water mark), deadlines of waiting lines, and the
//! counts of each place. Only [`LineBook::place`] moves a line from one set of ledgers to another.

mod deadlines;
mod lookup;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use crate::item::{Done, Ticket};

/// The number of a host in the host table.
pub(super) type HostId = usize;

/// The number of an unsettled line in the book.
pub(super) type LineId = usize;

/// The number of lines in each place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting for their host: its turn, its limits, or the end of a back-off.
    pub waiting: usize,
    /// On the wire.
    pub in_flight: usize,
    /// Settled, and not yet handed out.
    pub outgoing: usize,
    /// Released, and not yet handed out.
    pub released: usize,
}

/// Where an unsettled line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its host has no place in the table yet.
    Untracked,
    /// In the queue of its host, for this port; `due` is when it may start, if it was on the wire before.
    Waiting { host: HostId, port: u16, due: Option<Duration> },
    /// On the wire.
    OnWire { host: HostId, since: Duration },
}

/// An unsettled line.
#[derive(Debug)]
struct Line {
    ordinal: u64,
    source: u32,
    /// Its file and number there, for lookups.
    file: Option<Arc<str>>,
    seq: u64,
    /// When it was accepted, from the start of the run.
    accepted: Duration,
    /// Its deadline on the clock of its host, from its first start on.
    deadline: Option<Duration>,
    /// Its time in `deadlines`.
    ends_at: Option<Duration>,
    place: Place,
    older: Neighbour,
    newer: Neighbour,
}

/// The number of a neighbour in the list, if any, in four bytes, because a line is moved as a whole.
#[derive(Clone, Copy, Debug)]
struct Neighbour(u32);

impl Neighbour {
    const NONE: Self = Self(u32::MAX);

    fn get(self) -> Option<LineId> {
        (self.0 != u32::MAX).then_some(self.0 as LineId)
    }
}

impl From<Option<LineId>> for Neighbour {
    fn from(id: Option<LineId>) -> Self {
        // No window has room for four billion lines.
        id.map_or(Self::NONE, |id| Self(id as u32))
    }
}

/// All lines of the schedule. At most as large as the window, however long the oldest line waits.
#[derive(Debug, Default)]
pub(super) struct LineBook {
    lines: Slab<Line>,
    /// By number: the names of sources that have one.
    sources: Vec<Option<Arc<str>>>,
    oldest: Option<LineId>,
    newest: Option<LineId>,
    /// Waiting lines that were on the wire before, by their deadline on the clock of the run.
    deadlines: BTreeSet<(Duration, LineId)>,
    settled: VecDeque<Done>,
    released: VecDeque<Ticket>,
    waiting: usize,
    in_flight: usize,
    /// Lines accepted so far.
    accepted: u64,
    /// Settled lines handed out so far.
    recorded: u64,
    /// Released lines handed out so far.
    handed_back: u64,
    /// Lines left for the next start so far.
    left: u64,
}

impl LineBook {
    /// Adds a line to the book.
    pub fn add(&mut self, ticket: &Ticket, accepted: Duration) -> LineId {
        let line = Line {
            ordinal: ticket.ordinal,
            source: ticket.source as u32,
            file: ticket.id.file.clone(),
            seq: ticket.id.seq,
            accepted,
            deadline: None,
            ends_at: None,
            place: Place::Untracked,
            older: self.newest.into(),
            newer: Neighbour::NONE,
        };
        self.note_name(ticket);
        let id = self.lines.insert(line);
        self.waiting += 1;
        self.accepted += 1;
        self.link(id, ticket.ordinal);
        id
    }

    /// Notes the name of a line's source, for lookups.
    #[inline]
    fn note_name(&mut self, ticket: &Ticket) {
        if let Some(name) = &ticket.id.source
            && self.sources.get(ticket.source).is_none_or(Option::is_none)
        {
            self.sources.resize(self.sources.len().max(ticket.source + 1), None);
            self.sources[ticket.source] = Some(Arc::clone(name));
        }
    }

    /// Adds a line that is settled already.
    pub fn add_settled(&mut self, done: Done) {
        self.accepted += 1;
        self.settled.push_back(done);
    }

    /// Moves an unsettled line.
    pub fn place(&mut self, id: LineId, place: Place) {
        self.leave(id);
        self.lines[id].place = place;
        self.enter(id);
    }

    /// Removes a line from the book: it is settled.
    pub fn settle(&mut self, id: LineId, done: Done) {
        self.remove(id);
        self.settled.push_back(done);
    }

    /// Removes a line from the book that goes back to its source.
    pub fn release(&mut self, id: LineId, ticket: Ticket) {
        self.remove(id);
        self.released.push_back(ticket);
    }

    /// Removes a line without a record: the next start finds it again.
    pub fn leave_for_next_start(&mut self, id: LineId) {
        self.remove(id);
        self.left += 1;
    }

    /// Lines left for the next start so far.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// A settled line.
    pub fn take_settled(&mut self) -> Option<Done> {
        let done = self.settled.pop_front()?;
        self.recorded += 1;
        Some(done)
    }

    /// The ticket of a released line.
    pub fn take_released(&mut self) -> Option<Ticket> {
        let ticket = self.released.pop_front()?;
        self.handed_back += 1;
        Some(ticket)
    }

    pub fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    fn enter(&mut self, id: LineId) {
        match self.lines[id].place {
            Place::Untracked | Place::Waiting { .. } => self.waiting += 1,
            Place::OnWire { .. } => self.in_flight += 1,
        }
    }

    fn leave(&mut self, id: LineId) {
        match self.lines[id].place {
            Place::Untracked | Place::Waiting { .. } => {
                self.waiting -= 1;
                self.end_at(id, None);
            }
            Place::OnWire { .. } => self.in_flight -= 1,
        }
    }

    /// Links a line behind all older ones. Lines usually come in the order of their ordinals, so it is at the end
    /// already.
    fn link(&mut self, id: LineId, ordinal: u64) {
        match self.newest.map(|newest| &mut self.lines[newest]) {
            Some(newest) if newest.ordinal > ordinal => return self.link_before_newest(id, ordinal),
            Some(newest) => newest.newer = Some(id).into(),
            None => self.oldest = Some(id),
        }
        self.newest = Some(id);
    }

    #[cold]
    fn link_before_newest(&mut self, id: LineId, ordinal: u64) {
        let (mut older, mut newer) = (self.newest, None);
        while let Some(other) = older.filter(|other| self.lines[*other].ordinal > ordinal) {
            (older, newer) = (self.lines[other].older.get(), Some(other));
        }
        (self.lines[id].older, self.lines[id].newer) = (older.into(), newer.into());
        self.join(older, Some(id));
        self.join(Some(id), newer);
    }

    fn remove(&mut self, id: LineId) {
        self.leave(id);
        let Line { older, newer, .. } = self.lines.remove(id);
        self.join(older.get(), newer.get());
    }

    /// Makes two lines neighbours; `None` is the end of the list.
    fn join(&mut self, older: Option<LineId>, newer: Option<LineId>) {
        match older {
            Some(older) => self.lines[older].newer = newer.into(),
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.lines[newer].older = older.into(),
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Echo, ErrorKind, Identity, Record, Rejection, Text, Window};
    use futures::executor::block_on;

    fn ticket(ordinal: u64) -> Ticket {
        let id = Identity { state_id: None, source: None, file: None, seq: ordinal + 1, round: 0 };
        let line = crate::item::Line { id, text: Text::Whole("x".into()), position: None };
        let window = Window::new(1, 1);
        block_on(async { window.ticket(window.room().await?, &line, ordinal, 0).await }).unwrap()
    }

    fn settle(book: &mut LineBook, id: LineId) {
        let ticket = ticket(book.ordinal(id));
        let rejection = Rejection { kind: ErrorKind::Canceled, message: String::new() };
        let record = Box::new(Record::rejected(ticket.id.clone(), Echo::text(""), rejection));
        book.settle(id, Done { ticket, record });
    }

    fn oldest(book: &LineBook) -> Option<u64> {
        book.oldest().map(|id| book.ordinal(id))
    }

    #[test]
    fn the_oldest_is_the_first_that_is_not_settled() {
        let mut book = LineBook::default();
        let lines: Vec<LineId> =
            [3, 0, 2, 1].into_iter().map(|ordinal| book.add(&ticket(ordinal), Duration::ZERO)).collect();
        for (id, left) in [(lines[3], Some(0)), (lines[1], Some(2)), (lines[2], Some(3)), (lines[0], None)] {
            settle(&mut book, id);
            assert_eq!(oldest(&book), left);
        }
        book.add(&ticket(7), Duration::ZERO);
        assert_eq!(oldest(&book), Some(7));
    }

    #[test]
    fn a_line_that_waits_while_others_pass_costs_no_memory() {
        let mut book = LineBook::default();
        book.add(&ticket(0), Duration::ZERO);
        for ordinal in 1..1000 {
            let id = book.add(&ticket(ordinal), Duration::ZERO);
            settle(&mut book, id);
        }
        assert_eq!((book.lines.len(), book.lines.capacity() < 10, oldest(&book)), (1, true, Some(0)));
    }

    #[test]
    fn a_line_is_in_the_ledgers_of_one_place_at_a_time() {
        let mut book = LineBook::default();
        let id = book.add(&ticket(0), Duration::ZERO);
        let again = Place::Waiting { host: 0, port: 80, due: Some(Duration::ZERO) };
        let on_wire = Place::OnWire { host: 0, since: Duration::ZERO };
        let fresh = Place::Waiting { host: 0, port: 80, due: None };
        book.deadline_or_set(id, Duration::from_secs(1));
        for (place, waiting, deadlines) in [(fresh, 1, 0), (again, 1, 1), (on_wire, 0, 0), (again, 1, 1)] {
            book.place(id, place);
            book.end_at(id, (place == again).then_some(Duration::from_secs(1)));
            let counts = book.counts();
            assert_eq!((counts.waiting, counts.in_flight, book.deadlines.len()), (waiting, 1 - waiting, deadlines));
        }
        settle(&mut book, id);
        assert_eq!((book.counts().outgoing, book.first_deadline()), (1, None));
    }
}

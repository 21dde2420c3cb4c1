//! What the parts saw, in order, and how much body memory they reservation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fetchd::item::{Body, ErrorKind, Identity, Outcome, Record, Reservation};
use fetchd::schedule::Overrides;
use tokio::time::Instant;

#[derive(Clone, Debug)]
pub enum Event {
    /// A source handed out a line of so many bytes.
    Yielded(Identity, usize),
    /// An attempt began.
    Asked(Identity),
    /// It was one at this host.
    Reached(String),
    /// From now on these are all overrides, an operator was told.
    Overridden(Overrides),
    /// A sink said `Ok` to this record.
    Written {
        sink: usize,
        entry: Entry,
    },
    /// A source was told that this line is done.
    Settled(Identity),
    /// Where the line's source goes on then, if it reads answers.
    Position(Identity, Option<u64>),
    /// A source has read the answer to this line.
    AnswerRead(Identity),
    /// A source took this line back.
    Released(Identity),
    /// All that was written so far is to last.
    Committed,
    /// A sink goes on in another file, or has ended.
    Switched,
    RotationRequested {
        sink: usize,
    },
    /// So many hosts are in trouble, somebody was told.
    HostsInTrouble(usize),
    /// A signal came when so many lines were accepted.
    Interrupted {
        accepted: u64,
    },
}

/// What matters of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: Identity,
    pub outcome: Outcome,
    pub kind: Option<ErrorKind>,
    pub attempts: u32,
    pub hops: usize,
    pub page: Option<u64>,
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            outcome: record.outcome,
            kind: record.kind(),
            attempts: record.attempts,
            hops: record.hops.len(),
            page: record.page.as_ref().map(|page| page.read().unwrap()),
        }
    }
}

/// One log for all parts of a scenario.
#[derive(Clone, Debug)]
pub struct Log {
    start: Instant,
    events: Arc<Mutex<Vec<(Duration, Event)>>>,
}

impl Log {
    pub fn start() -> Self {
        Self { start: Instant::now(), events: Arc::default() }
    }

    pub fn note(&self, event: Event) {
        self.events.lock().unwrap().push((self.start.elapsed(), event));
    }

    pub fn events(&self) -> Vec<(Duration, Event)> {
        self.events.lock().unwrap().clone()
    }
}

/// The sum of all body memory in anybody's hands, never more than it truly is.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    now: AtomicU64,
    most: AtomicU64,
}

impl Ledger {
    pub fn watch(&self, reservation: Reservation) -> Watched {
        let mut watched = Watched { weight: Weight { ledger: self.clone(), bytes: 0 }, reservation };
        watched.weigh();
        watched
    }

    pub fn now(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }

    pub fn most(&self) -> u64 {
        self.0.most.load(Ordering::Relaxed)
    }
}

/// Body memory that an attempt holds. The weight is declared, and so taken off, before the memory goes home.
pub struct Watched {
    weight: Weight,
    reservation: Reservation,
}

impl Watched {
    pub fn grow_to(&mut self, bytes: u64) -> bool {
        let grown = self.reservation.grow_to(bytes);
        assert!(
            !grown || self.reservation.bytes() >= bytes,
            "{} bytes are reservation, and {bytes} were promised",
            self.reservation.bytes()
        );
        self.weigh();
        grown
    }

    /// A body that weighs as long as its record is kept.
    pub fn into_body(self, bytes: u64) -> (Body, Reservation) {
        (Body { data: Bytes::from_owner(self.weight), bytes, ..Body::default() }, self.reservation)
    }

    fn weigh(&mut self) {
        let Sums { now, most } = &*self.weight.ledger.0;
        let more = self.reservation.bytes() - self.weight.bytes;
        self.weight.bytes = self.reservation.bytes();
        most.fetch_max(now.fetch_add(more, Ordering::Relaxed) + more, Ordering::Relaxed);
    }
}

struct Weight {
    ledger: Ledger,
    bytes: u64,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.ledger.0.now.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Weight {
    fn as_ref(&self) -> &[u8] {
        &[]
    }
}

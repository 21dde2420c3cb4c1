//! The ticket: one accepted line's place in the window.
//!
//! The feed issues it, it travels with the line and ends in the settle stage. Silence means "not done": only
//! [`Ticket::done`] yields the receipt that a source may settle, and only [`Ticket::release`] one by which it takes the line
//! back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Identity, Line, Position, RawJson};

/// How many lines, and bytes of lines, may be accepted and not yet settled.
#[derive(Clone, Debug)]
pub struct Window {
    lines: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    capacity: usize,
    most_bytes: usize,
}

/// Room for one line in the window, before the line is known.
#[derive(Debug)]
pub struct Room(OwnedSemaphorePermit);

impl Window {
    /// A window of so many lines and so many bytes of lines.
    pub fn new(lines: usize, bytes: usize) -> Self {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let (lines, bytes) = (lines.min(most), bytes.min(most));
        Self {
            lines: Arc::new(Semaphore::new(lines)),
            bytes: Arc::new(Semaphore::new(bytes)),
            capacity: lines,
            most_bytes: bytes,
        }
    }

    /// Waits for room for one line; `None` never comes while the window is in use.
    pub async fn room(&self) -> Option<Room> {
        Arc::clone(&self.lines).acquire_owned().await.ok().map(Room)
    }

    /// Waits until the line's bytes fit too, and hands out its ticket. A line longer than the window takes all of it.
    pub async fn ticket(&self, room: Room, line: &Line, ordinal: u64, source: usize) -> Option<Ticket> {
        let bytes = u32::try_from(line.text.len().min(self.most_bytes)).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await.ok()?;
        let (id, position) = (line.id.clone(), line.position.clone());
        Some(Ticket { ordinal, source, id, position, _line: room.0, _bytes: bytes })
    }

    /// Lines accepted and not settled.
    pub fn in_use(&self) -> usize {
        self.capacity - self.lines.available_permits()
    }
}

/// One accepted line's place in the window. Dropped, its line is not done.
#[derive(Debug)]
pub struct Ticket {
    /// Counts accepted lines of all sources, from 0 and without gaps.
    pub ordinal: u64,
    /// The number of its source.
    pub source: usize,
    /// The line's identity.
    pub id: Identity,
    /// Where the line ends, if a restart can go on from there.
    pub position: Option<Position>,
    _line: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Ticket {
    /// Says that the line's record is as durable as every sink makes it.
    pub fn done(self) -> Receipt {
        Receipt { source: self.source, id: self.id, position: self.position, source_position: None }
    }

    /// Gives the line back to its source: it has no record here.
    pub fn release(self) -> ReleaseReceipt {
        ReleaseReceipt { source: self.source, id: self.id, position: self.position }
    }
}

/// Proof that a line is done; only a ticket yields it.
#[derive(Debug)]
pub struct Receipt {
    /// The number of the line's source.
    pub source: usize,
    /// The line's identity.
    pub id: Identity,
    /// Where the line ends, if a restart can go on from there.
    pub position: Option<Position>,
    /// Where the whole source goes on once this line is done, if the line says so.
    pub source_position: Option<RawJson>,
}

impl Receipt {
    /// With this as the position of the whole source: a restart gives it back to the source.
    #[must_use]
    pub fn with_source_position(self, position: RawJson) -> Self {
        Self { source_position: Some(position), ..self }
    }
}

/// Proof that a line goes back to its source without a record; only a ticket yields it.
#[derive(Debug)]
pub struct ReleaseReceipt {
    /// The number of the line's source.
    pub source: usize,
    /// The line's identity.
    pub id: Identity,
    /// Where the line ends, if a restart can go on from there.
    pub position: Option<Position>,
}

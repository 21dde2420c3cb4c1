//! The ticket: one accepted line's place in the window.
//!
//! The feed issues it, and the settle stage consumes it. If it is dropped, the line is not done: only [`Ticket::done`]
//! yields the receipt with which a source settles a line, and only [`Ticket::release`] that for taking a line back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};

use super::{Identity, Line, LinePosition};

/// Limits the lines, and their bytes, that are accepted and not yet done.
#[derive(Clone, Debug)]
pub struct Window(Arc<Permits>);

#[derive(Debug)]
struct Permits {
    lines: Semaphore,
    bytes: Semaphore,
    max_lines: usize,
    max_bytes: usize,
    /// Lines that wait for room before they are read, and after.
    unknown_outside: AtomicUsize,
    known_outside: AtomicUsize,
    /// Notified by each of them.
    full: Notify,
}

/// The limit that a window has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowLimit {
    /// `queue.window`
    Lines,
    /// `queue.window_bytes`
    Bytes,
}

/// Room for one line and its bytes in the window; dropping it frees the room.
#[derive(Debug)]
pub struct Room {
    window: Arc<Permits>,
    bytes: u32,
}

impl Window {
    /// A window of so many lines and so many bytes of lines.
    pub fn new(lines: usize, bytes: usize) -> Self {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let (max_lines, max_bytes) = (lines.min(most), bytes.min(most));
        let (lines, bytes) = (Semaphore::new(max_lines), Semaphore::new(max_bytes));
        let (unknown_outside, known_outside) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Permits {
            lines,
            bytes,
            max_lines,
            max_bytes,
            unknown_outside,
            known_outside,
            full: Notify::new(),
        }))
    }

    /// Waits for room for one line before the line is read. Never `None`, because the semaphore is never closed.
    pub async fn room(&self) -> Option<Room> {
        self.0.acquire(&self.0.lines, 1, &self.0.unknown_outside).await?;
        Some(Room { window: Arc::clone(&self.0), bytes: 0 })
    }

    /// Waits until the line's bytes fit, and issues its ticket. A line longer than the window takes all of it.
    pub async fn ticket(&self, mut room: Room, line: &Line, ordinal: u64, source: usize) -> Option<Ticket> {
        let bytes = u32::try_from(line.text.len().min(self.0.max_bytes)).unwrap_or(u32::MAX);
        self.0.acquire(&self.0.bytes, bytes, &self.0.known_outside).await?;
        room.bytes = bytes;
        let (id, position) = (line.id.clone(), line.position.clone());
        Some(Ticket { ordinal, source, id, position, _room: room })
    }

    /// The limit that keeps further lines out, if at most a sixteenth of the room is left.
    pub fn reached(&self) -> Option<WindowLimit> {
        let is_reached = |left: &Semaphore, most: usize| left.available_permits() <= most / 16;
        if is_reached(&self.0.lines, self.0.max_lines) {
            return Some(WindowLimit::Lines);
        }
        is_reached(&self.0.bytes, self.0.max_bytes).then_some(WindowLimit::Bytes)
    }

    /// The most lines in the window.
    pub fn lines(&self) -> usize {
        self.0.max_lines
    }

    /// Lines accepted and not done.
    pub fn in_use(&self) -> usize {
        self.0.max_lines - self.0.lines.available_permits()
    }

    /// Waits until a line finds no room; returns at once if that happened since the last call.
    pub async fn gets_full(&self) {
        self.0.full.notified().await;
    }

    /// The lines in the window, if there is no room for the next one.
    pub fn full(&self) -> Option<usize> {
        let waiting = |outside: &AtomicUsize| outside.load(Ordering::Relaxed);
        let known = waiting(&self.0.known_outside);
        // A line that is read already counts among the lines.
        (waiting(&self.0.unknown_outside) + known > 0).then(|| self.in_use() - known)
    }
}

impl Permits {
    /// Takes permits, and counts in `outside` while it waits for them.
    async fn acquire(&self, permits: &Semaphore, count: u32, outside: &AtomicUsize) -> Option<()> {
        struct Outside<'a>(&'a AtomicUsize);
        impl Drop for Outside<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if let Ok(permits) = permits.try_acquire_many(count) {
            permits.forget();
            return Some(());
        }
        outside.fetch_add(1, Ordering::Relaxed);
        let _outside = Outside(outside);
        self.full.notify_one();
        permits.acquire_many(count).await.ok()?.forget();
        Some(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.window.lines.add_permits(1);
        self.window.bytes.add_permits(self.bytes as usize);
    }
}

/// One accepted line's place in the window. If it is dropped, the line is not done.
#[derive(Debug)]
pub struct Ticket {
    /// The number of the line among accepted lines of all sources, from 0 and without gaps.
    pub ordinal: u64,
    /// The index of its source.
    pub source: usize,
    /// The line's identity.
    pub id: Identity,
    /// The line's position, if a restart can resume from there.
    pub position: Option<LinePosition>,
    _room: Room,
}

impl Ticket {
    /// Declares the line done: every sink has taken its record.
    pub fn done(self) -> Receipt {
        Receipt { source: self.source, id: self.id, position: self.position }
    }

    /// Returns the line to its source without a record.
    pub fn release(self) -> ReleaseReceipt {
        ReleaseReceipt { source: self.source, id: self.id, position: self.position }
    }
}

/// Proof that a line is done; only a ticket yields it.
#[derive(Debug)]
pub struct Receipt {
    /// The index of the line's source.
    pub source: usize,
    /// The line's identity.
    pub id: Identity,
    /// The line's position, if a restart can resume from there.
    pub position: Option<LinePosition>,
}

/// Proof that a line returns to its source without a record; only a ticket yields it.
#[derive(Debug)]
pub struct ReleaseReceipt {
    /// The index of the line's source.
    pub source: usize,
    /// The line's identity.
    pub id: Identity,
    /// The line's position, if a restart can resume from there.
    pub position: Option<LinePosition>,
}

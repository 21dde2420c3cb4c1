//! The gate between dispatch and body memory: reserves memory for the next line, or waits for one amount at a time.

use futures::future::BoxFuture;

use crate::item::{BodyMemory, Reservation};
use crate::schedule::{BodyMemoryRoom, Need};

/// Body memory for the scheduler: reserved at once, or by waiting for one amount at a time.
pub(super) struct MemoryGate {
    memory: BodyMemory,
    /// The largest need of one line.
    largest_body: u64,
    waiting: Option<BoxFuture<'static, Option<Reservation>>>,
    waited_for: Option<Reservation>,
    /// Whether the last request for the overdraft was refused.
    overdraft_is_out: bool,
}

impl MemoryGate {
    pub fn new(memory: BodyMemory, largest_body: u64) -> Self {
        Self { memory, largest_body, waiting: None, waited_for: None, overdraft_is_out: false }
    }

    /// Whether the gate waits for memory.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether memory is short, for the schedule.
    pub fn room(&self) -> BodyMemoryRoom {
        if self.is_waiting() { BodyMemoryRoom::Lacking } else { BodyMemoryRoom::Enough }
    }

    /// Keeps a reservation that was waited for until the next line takes it.
    pub fn keep(&mut self, reservation: Option<Reservation>) {
        self.waited_for = reservation;
    }

    /// Takes the memory of the next line, or begins to wait for it.
    pub fn take(&mut self, need: Need) -> Option<Reservation> {
        if let Some(mut reservation) = self.waited_for.take()
            && reservation.bytes() >= need.memory
        {
            reservation.shrink_to(need.memory);
            return Some(reservation);
        }
        if self.waiting.is_some() {
            return None;
        }
        let reservation = self.memory.try_reserve(need.memory);
        if reservation.is_none() {
            let memory = self.memory.clone();
            self.waiting = Some(Box::pin(async move { memory.reserve(need.memory).await }));
        }
        reservation
    }

    /// Lends the oldest line the largest need of a line, unless the overdraft is in use.
    pub fn overdraw(&mut self) -> Option<Reservation> {
        let reservation = self.memory.try_overdraft(self.largest_body);
        self.overdraft_is_out = reservation.is_none();
        reservation
    }

    /// Stops the wait and frees its reservation, because no line needs memory.
    pub fn stop_waiting(&mut self) {
        self.waiting = None;
        self.waited_for = None;
    }

    /// The reservation that was waited for; `None` when the overdraft is free again, maybe for another oldest line.
    pub async fn next(&mut self) -> Option<Reservation> {
        let Some(waiting) = &mut self.waiting else { return std::future::pending().await };
        tokio::select! {
            biased;
            reservation = waiting => {
                self.waiting = None;
                reservation
            }
            () = self.memory.overdraft(), if self.overdraft_is_out => {
                self.overdraft_is_out = false;
                None
            }
        }
    }
}

//! Dispatches jobs from the core to the workers, each with a permit, a memory reservation and the HTTP client.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::Dispatch;
use super::scheduler::Scheduler;
use crate::item::Reservation;
use crate::schedule::Job;

impl Scheduler {
    /// Sends jobs to the workers while there are permits, memory, and lines that may start now.
    pub(super) fn dispatch(&mut self, now: Duration) {
        while !self.core.has_settled() {
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
            let Some(need) = self.core.peek(now) else { return self.memory.stop_waiting() };
            let dispatched = match self.memory.take(need) {
                Some(reservation) => self.core.take(now).map(|job| self.with_fetcher(job, permit, reservation)),
                None => self.dispatch_oldest(permit, now),
            };
            let Some(dispatch) = dispatched else { return };
            // There is room: `ready` has as many places as there are permits.
            if self.ready.try_send(dispatch).is_err() {
                return;
            }
        }
    }

    /// The limit of concurrent requests, if a line waits for it and not for body memory.
    pub(super) fn reached_limit(&mut self, now: Duration) -> Option<usize> {
        if self.memory.is_waiting() { None } else { self.core.reached_limit(self.concurrency, now) }
    }

    /// With no memory left, dispatches the oldest line on an overdraft: the lines that hold the memory may wait for it.
    fn dispatch_oldest(&mut self, permit: OwnedSemaphorePermit, now: Duration) -> Option<Dispatch> {
        let reservation = self.memory.overdraw()?;
        let job = self.core.take_oldest(now)?;
        Some(self.with_fetcher(job, permit, reservation))
    }

    fn with_fetcher(&self, job: Box<Job>, permit: OwnedSemaphorePermit, reservation: Reservation) -> Dispatch {
        Dispatch { job, fetch: Arc::clone(&self.fetch), permit, reservation }
    }
}

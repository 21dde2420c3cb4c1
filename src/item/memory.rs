//! The budget of memory for response bodies (`limits.body_memory`), in KiB, over all requests in progress and all
//! records not yet written. The scheduler reserves it (`pipeline/memory_gate.rs`), and `fetch/body.rs` grows it as a
//! body arrives.
//!
//! To avoid deadlocks, no request waits while it holds memory: a body that cannot grow releases its reservation, and
//! its request starts over.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory that a request holds from its start, in bytes.
pub const CHUNK: u64 = 64 << 10;

/// The budget `limits.body_memory`.
#[derive(Clone, Debug)]
pub struct BodyMemory {
    kib: Arc<Semaphore>,
    total: usize,
    // Only the oldest line may exceed the budget; otherwise ordered output could wait for ever.
    overdraft: Arc<Semaphore>,
}

impl BodyMemory {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let total = to_kib(bytes) as usize;
        Self { kib: Arc::new(Semaphore::new(total)), total, overdraft: Arc::new(Semaphore::new(1)) }
    }

    /// The budget, in bytes.
    pub fn total(&self) -> u64 {
        (self.total as u64) << 10
    }

    /// Takes `bytes` if they are free now.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        let permit = Arc::clone(&self.kib).try_acquire_many_owned(to_kib(bytes)).ok()?;
        Some(Reservation { permit, limit: None, _overdraft: None })
    }

    /// Waits for `bytes`; waiting callers are served in order.
    pub async fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let permit = Arc::clone(&self.kib).acquire_many_owned(to_kib(bytes)).await.ok()?;
        Some(Reservation { permit, limit: None, _overdraft: None })
    }

    /// Lends up to `bytes` beyond the budget, to one line at a time.
    pub fn try_overdraft(&self, bytes: u64) -> Option<Reservation> {
        let overdraft = Arc::clone(&self.overdraft).try_acquire_owned().ok()?;
        let permit = Arc::clone(&self.kib).try_acquire_many_owned(0).ok()?;
        Some(Reservation { permit, limit: Some(bytes), _overdraft: Some(overdraft) })
    }

    /// Waits until the overdraft is free.
    pub async fn overdraft(&self) {
        // The semaphore is never closed. The caller then takes the overdraft itself.
        drop(self.overdraft.acquire().await);
    }

    /// Bytes of the budget in use, without the overdraft.
    pub fn in_use(&self) -> u64 {
        (self.total.saturating_sub(self.kib.available_permits()) as u64) << 10
    }
}

/// Reserved body memory; dropping it releases the memory.
#[derive(Debug)]
pub struct Reservation {
    permit: OwnedSemaphorePermit,
    // The size of an overdraft, if it is one.
    limit: Option<u64>,
    _overdraft: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// The reserved bytes.
    pub fn bytes(&self) -> u64 {
        self.limit.unwrap_or((self.permit.num_permits() as u64) << 10)
    }

    /// Grows the reservation to at least `bytes` without waiting; false if they are not free.
    pub fn grow_to(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes() {
            return true;
        }
        // Grows by at least a chunk and half of the reservation, so that a long body grows it seldom.
        let wish = bytes.max(self.bytes() + (self.bytes() / 2).max(CHUNK));
        let semaphore = Arc::clone(self.permit.semaphore());
        for target in [wish, bytes] {
            let more = to_kib(target - self.bytes());
            if let Ok(permit) = Arc::clone(&semaphore).try_acquire_many_owned(more) {
                self.permit.merge(permit);
                return true;
            }
        }
        false
    }

    /// Releases all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.permit.num_permits().saturating_sub(to_kib(bytes) as usize);
        drop(self.permit.split(surplus));
    }
}

/// Bytes in KiB, rounded up; the configuration ensures that the budget fits.
fn to_kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_in_steps_and_is_released() {
        let memory = BodyMemory::new(256 << 10);
        let mut reservation = memory.try_reserve(CHUNK).unwrap();
        assert!(reservation.grow_to(CHUNK + 1));
        assert_eq!(reservation.bytes(), 128 << 10);
        assert!(!reservation.grow_to(257 << 10), "more than there is");
        assert!(reservation.grow_to(256 << 10), "exactly what is left, though less than a step");
        assert!(memory.try_reserve(1).is_none());
        reservation.shrink_to(700);
        assert_eq!(memory.in_use(), 1 << 10);
        drop(reservation);
        assert_eq!(memory.in_use(), 0);
    }

    #[test]
    fn one_line_at_a_time_may_exceed_the_budget() {
        let memory = BodyMemory::new(CHUNK);
        let _all = memory.try_reserve(CHUNK).unwrap();
        let mut lent = memory.try_overdraft(1 << 20).unwrap();
        assert!(lent.grow_to(1 << 20) && !lent.grow_to((1 << 20) + 1));
        assert!(memory.try_overdraft(1).is_none());
        lent.shrink_to(10);
        drop(lent);
        assert!(memory.try_overdraft(1).is_some());
    }
}

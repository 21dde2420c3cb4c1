//! The memory of bodies that are received and not yet decoded, over all connections.
//!
//! Each body has its first piece for free. Further pieces come from one pool. When the pool is empty, bodies wait in
//! FIFO order, and one of them may overdraw the pool, so that bodies that each hold a part of it cannot deadlock.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of a request's lines, after decoding.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Bytes of a piece.
pub(super) const PIECE: usize = 64 << 10;

/// Bytes of the pool.
const POOL: usize = 32 << 20;

/// The pool of pieces.
#[derive(Clone, Debug)]
pub(super) struct BodyMemory {
    /// Free pieces.
    pool: Arc<Semaphore>,
    /// The permit to overdraw the pool.
    overdraft: Arc<Semaphore>,
}

/// The memory of a body; dropping it returns it to the pool.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: usize,
    pieces: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl Default for BodyMemory {
    fn default() -> Self {
        Self::of(POOL / PIECE)
    }
}

impl BodyMemory {
    fn of(pieces: usize) -> Self {
        Self { pool: Arc::new(Semaphore::new(pieces)), overdraft: Arc::new(Semaphore::new(1)) }
    }

    /// Waits until a body may have `bytes` more.
    pub async fn grow(&self, held: &mut Held, bytes: usize) {
        held.bytes += bytes;
        let pieces = held.bytes.div_ceil(PIECE).saturating_sub(1);
        let lacking = pieces.saturating_sub(held.pieces.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if lacking == 0 || held.overdraft.is_some() {
            return;
        }
        let lacking = u32::try_from(lacking).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            Ok(more) = Arc::clone(&self.pool).acquire_many_owned(lacking) => match &mut held.pieces {
                Some(pieces) => pieces.merge(more),
                none => *none = Some(more),
            },
            Ok(leave) = Arc::clone(&self.overdraft).acquire_owned() => held.overdraft = Some(leave),
            else => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bodies_that_grow_together_do_not_deadlock(
            sizes in proptest::collection::vec(1usize..20, 1..12), pool in 1usize..10
        ) {
            let memory = BodyMemory::of(pool);
            let mut bodies: Vec<_> = sizes.iter().map(|size| (Held::default(), *size)).collect();
            while !bodies.is_empty() {
                let before: usize = bodies.iter().map(|(_, left)| left).sum();
                for (held, left) in &mut bodies {
                    let bytes = held.bytes;
                    match memory.grow(held, PIECE).now_or_never() {
                        Some(()) => *left -= 1,
                        None => held.bytes = bytes,
                    }
                }
                prop_assert!(bodies.iter().map(|(_, left)| left).sum::<usize>() < before, "all wait");
                let in_pool: usize =
                    bodies.iter().filter_map(|(held, _)| held.pieces.as_ref()).map(|held| held.num_permits()).sum();
                prop_assert!(in_pool <= pool);
                prop_assert!(bodies.iter().filter(|(held, _)| held.overdraft.is_some()).count() <= 1);
                bodies.retain(|(_, left)| *left > 0);
            }
            prop_assert_eq!(memory.pool.available_permits(), pool);
        }
    }

    #[tokio::test]
    async fn a_small_body_never_waits() {
        let memory = BodyMemory::of(1);
        let mut large = [Held::default(), Held::default()];
        for held in &mut large {
            memory.grow(held, 2 * PIECE).await;
        }
        let mut third = Held::default();
        assert!(memory.grow(&mut third, PIECE).now_or_never().is_some());
        assert!(memory.grow(&mut third, 1).now_or_never().is_none());
    }
}

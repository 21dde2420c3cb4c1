//! Order as a property of release, not of work.
//!
//! Items come in with their ordinal, in any order; the contiguous prefix goes out. Used by ordered output, and by any
//! commit that may only cover "everything up to here".

use std::collections::VecDeque;

/// Takes `(ordinal, item)` in any order and releases the items of ordinals 0, 1, 2, … as soon as each is next.
#[derive(Debug)]
pub struct InOrder<T> {
    next: u64,
    held: VecDeque<Option<T>>,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self { next: 0, held: VecDeque::new() }
    }
}

impl<T> InOrder<T> {
    /// Takes the item of `ordinal`.
    ///
    /// # Panics
    /// When the ordinal was taken before: a line would have two records.
    pub fn insert(&mut self, ordinal: u64, item: T) {
        assert!(ordinal >= self.next, "ordinal {ordinal} was released before");
        let place = usize::try_from(ordinal - self.next).unwrap_or(usize::MAX);
        if self.held.len() <= place {
            self.held.resize_with(place + 1, || None);
        }
        let before = self.held[place].replace(item);
        assert!(before.is_none(), "ordinal {ordinal} was taken twice");
    }

    /// The item whose ordinal is next, if it is here.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.held.front_mut()?.take()?;
        self.held.pop_front();
        self.next += 1;
        Some(item)
    }

    /// The ordinal that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Everything held.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.held.iter().flatten()
    }

    /// Everything held, in order, gaps left out.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.next += self.held.len() as u64;
        self.held.drain(..).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::InOrder;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_order_in_is_turn_order_out_and_never_early(
            order in (1usize..200).prop_flat_map(|n| Just((0..n as u64).collect::<Vec<_>>()).prop_shuffle())
        ) {
            let (mut it, mut seen, mut out) = (InOrder::default(), std::collections::BTreeSet::new(), Vec::new());
            for ordinal in order.iter().copied() {
                it.insert(ordinal, ordinal);
                seen.insert(ordinal);
                while let Some(item) = it.pop() {
                    out.push(item);
                }
                let prefix = (0..).take_while(|t| seen.contains(t)).count();
                prop_assert_eq!(out.len(), prefix);
            }
            prop_assert_eq!(out, (0..order.len() as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "taken twice")]
    fn a_turn_is_taken_once() {
        let mut it = InOrder::default();
        it.insert(1, 'a');
        it.insert(1, 'b');
    }
}

//! A reorder buffer: items come in with their ordinals, in any order; the contiguous prefix goes out.
//!
//! Used by ordered output, and by commits that cover all items up to a low-water mark.

use std::collections::VecDeque;

/// A buffer that accepts `(ordinal, item)` in any order and releases the items of ordinals 0, 1, 2, … in order.
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
    /// Adds the item of `ordinal`.
    ///
    /// # Panics
    /// When the ordinal was added before: a line would have two records.
    pub fn insert(&mut self, ordinal: u64, item: T) {
        assert!(ordinal >= self.next, "ordinal {ordinal} was released before");
        let place = usize::try_from(ordinal - self.next).unwrap_or(usize::MAX);
        if self.held.len() <= place {
            self.held.resize_with(place + 1, || None);
        }
        let before = self.held[place].replace(item);
        assert!(before.is_none(), "ordinal {ordinal} was taken twice");
    }

    /// The item of the next ordinal, if it was added.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.held.front_mut()?.take()?;
        self.held.pop_front();
        self.next += 1;
        Some(item)
    }

    /// The next ordinal to release.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// All items held.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.held.iter().flatten()
    }

    /// Removes all items held, in order, without the gaps.
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
        fn items_added_in_any_order_come_out_in_order_as_soon_as_possible(
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
    fn an_ordinal_is_added_once() {
        let mut it = InOrder::default();
        it.insert(1, 'a');
        it.insert(1, 'b');
    }
}

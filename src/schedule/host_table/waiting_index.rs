//! Hosts by their number of waiting lines, in constant time (a bucket queue, as in Batagelj and Zaveršnik, 2003).
//!
//! Hosts with the same number of lines are neighbours in one array. A host that gains or loses a line changes places with
//! the first or last of them, and the border between two numbers moves by one.

use crate::schedule::line_book::HostId;

/// All hosts with waiting lines.
#[derive(Debug, Default)]
pub(super) struct WaitingIndex {
    /// The hosts, those with the most lines first.
    order: Vec<HostId>,
    /// By host: its place in `order`.
    places: Vec<usize>,
    /// By number of lines: how many hosts have more.
    above: Vec<usize>,
}

impl WaitingIndex {
    /// Notes one more line at a host that had `waiting` lines.
    pub fn raise(&mut self, id: HostId, waiting: usize) {
        if waiting == 0 {
            if self.places.len() <= id {
                self.places.resize(id + 1, 0);
            }
            self.places[id] = self.order.len();
            self.order.push(id);
        }
        if self.above.len() == waiting {
            self.above.push(0);
        }
        self.swap(id, self.above[waiting]);
        self.above[waiting] += 1;
    }

    /// Notes one line less at a host that now has `waiting` lines.
    pub fn lower(&mut self, id: HostId, waiting: usize) {
        self.above[waiting] -= 1;
        self.swap(id, self.above[waiting]);
        if self.above[waiting] == 0 {
            self.above.pop();
        }
        if waiting == 0 {
            self.order.pop();
        }
    }

    /// The hosts, those with the most lines first.
    pub fn iter(&self) -> impl Iterator<Item = HostId> {
        self.order.iter().copied()
    }

    fn swap(&mut self, id: HostId, place: usize) {
        let (old, other) = (self.places[id], self.order[place]);
        self.order.swap(old, place);
        (self.places[id], self.places[other]) = (place, old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_index_equals_a_sort(changes in vec((0usize..6, any::<bool>()), 0..200)) {
            let (mut index, mut waiting) = (WaitingIndex::default(), [0usize; 6]);
            for (id, more) in changes {
                if more {
                    index.raise(id, waiting[id]);
                    waiting[id] += 1;
                } else if waiting[id] > 0 {
                    waiting[id] -= 1;
                    index.lower(id, waiting[id]);
                }
                let listed: Vec<usize> = index.iter().map(|id| waiting[id]).collect();
                let mut sorted: Vec<usize> = waiting.into_iter().filter(|n| *n > 0).collect();
                sorted.sort_unstable_by(|a, b| b.cmp(a));
                prop_assert_eq!(listed, sorted);
            }
        }
    }
}

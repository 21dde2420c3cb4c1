//! Hosts by their backlog in seconds, in constant time per change: a bucket queue whose buckets are a sixteenth of a
//! power of two apart. So a host with many lines seldom changes its bucket, and the first host has the longest backlog,
//! or is within 7 % of it.

use crate::schedule::line_book::HostId;

/// Mantissa bits that are dropped: each bucket has all numbers that differ only in them.
const DROPPED: u32 = 19;

/// The first bucket, of half a millisecond and less, and the number of buckets up to that of a year and more.
const FIRST: u32 = (0.0005f32).to_bits() >> DROPPED;
const BUCKETS: usize = ((31_536_000f32).to_bits() >> DROPPED) as usize - FIRST as usize + 1;

/// All hosts with a backlog.
#[derive(Debug)]
pub(super) struct BacklogIndex {
    buckets: Vec<Vec<u32>>,
    /// By bucket, whether it has hosts.
    used: [u64; BUCKETS.div_ceil(64)],
    /// By host: its bucket, and its place there.
    places: Vec<Option<(u16, u32)>>,
}

impl Default for BacklogIndex {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS], used: [0; BUCKETS.div_ceil(64)], places: Vec::new() }
    }
}

impl BacklogIndex {
    /// Notes the backlog of a host, if it has one.
    pub fn set(&mut self, id: HostId, seconds: Option<f32>) {
        if self.places.len() <= id {
            self.places.resize(id + 1, None);
        }
        let (old, new) = (self.places[id], seconds.map(bucket_of));
        if old.map(|(bucket, _)| bucket) == new {
            return;
        }
        if let Some((bucket, place)) = old {
            self.remove(bucket.into(), place as usize);
        }
        self.places[id] = new.map(|bucket| {
            let hosts = &mut self.buckets[usize::from(bucket)];
            hosts.push(id as u32);
            self.used[usize::from(bucket / 64)] |= 1 << (bucket % 64);
            (bucket, hosts.len() as u32 - 1)
        });
    }

    /// A host with the longest backlog, or nearly.
    pub fn first(&self) -> Option<HostId> {
        let (word, bits) = self.used.iter().enumerate().rev().find(|(_, bits)| **bits != 0)?;
        let bucket = word * 64 + 63 - bits.leading_zeros() as usize;
        self.buckets[bucket].first().map(|id| *id as HostId)
    }

    fn remove(&mut self, bucket: usize, place: usize) {
        let hosts = &mut self.buckets[bucket];
        hosts.swap_remove(place);
        if let Some(moved) = hosts.get(place) {
            self.places[*moved as usize] = Some((bucket as u16, place as u32));
        } else if hosts.is_empty() {
            self.used[bucket / 64] &= !(1 << (bucket % 64));
        }
    }
}

fn bucket_of(seconds: f32) -> u16 {
    let number = (seconds.max(0.0).to_bits() >> DROPPED).saturating_sub(FIRST);
    number.min(BUCKETS as u32 - 1) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_the_longest_or_nearly(
            changes in vec((0usize..8, prop::option::weighted(0.8, prop_oneof![0f32..1.0, 0f32..1e6])), 0..200)
        ) {
            let (mut index, mut backlogs) = (BacklogIndex::default(), [None::<f32>; 8]);
            for (id, seconds) in changes {
                index.set(id, seconds);
                backlogs[id] = seconds;
                let longest = backlogs.into_iter().flatten().reduce(f32::max);
                let first = index.first().and_then(|id| backlogs[id]);
                prop_assert_eq!(first.is_some(), longest.is_some());
                if let Some((first, longest)) = first.zip(longest) {
                    prop_assert!(first * 1.07 + 0.0006 >= longest, "{first} is first of {backlogs:?}");
                }
            }
        }
    }

    #[test]
    fn any_number_has_a_bucket() {
        for seconds in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE] {
            assert!(usize::from(bucket_of(seconds)) < BUCKETS);
        }
    }
}

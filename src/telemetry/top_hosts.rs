//! Finds the most frequent hosts in bounded memory (Space-Saving: Metwally, Agrawal and El Abbadi, 2005): a new host
//! replaces the one with the lowest count, and inherits that count.

use std::collections::HashMap;

/// The number of counters. A host with a share of more than one in 256 is always among them.
const MOST: usize = 256;

/// Counters of the most frequent hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct TopHosts(HashMap<Box<str>, Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    counted: u64,
    /// The part of the count that may belong to replaced hosts.
    inherited: u64,
}

impl TopHosts {
    /// Counts an occurrence of a host.
    pub fn add(&mut self, host: &str) {
        if let Some(count) = self.0.get_mut(host) {
            count.counted += 1;
            return;
        }
        let inherited = if self.0.len() < MOST { 0 } else { self.remove_least() };
        self.0.insert(host.into(), Count { counted: inherited + 1, inherited });
    }

    /// The `n` most frequent hosts, each with a lower bound of its count.
    pub fn first(&self, n: usize) -> Vec<(&str, u64)> {
        let mut hosts: Vec<_> = self.0.iter().map(|(host, count)| (&**host, count.counted - count.inherited)).collect();
        hosts.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        hosts.truncate(n);
        hosts
    }

    fn remove_least(&mut self) -> u64 {
        let least =
            self.0.iter().min_by_key(|(_, count)| count.counted).map(|(host, count)| (host.clone(), count.counted));
        let Some((host, counted)) = least else { return 0 };
        self.0.remove(&host);
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_come_up_often_are_counted_among_many_that_come_up_once() {
        let mut hosts = TopHosts::default();
        for n in 0..10_000 {
            hosts.add(&format!("host-{n}.test"));
            hosts.add(if n % 3 == 0 { "a.test" } else { "b.test" });
        }
        let first = hosts.first(3);
        assert_eq!(first[..2], [("b.test", 6666), ("a.test", 3334)]);
        assert!(first[2].1 <= 1 && hosts.0.len() == MOST, "{first:?}");
    }
}

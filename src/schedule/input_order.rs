//! Whether lines come mixed or host by host, as in a sorted list. The unread lines of a mixed list have the same hosts
//! as those read; those of a sorted list have others.
//!
//! In a shuffled list a line has the host of the line before it as often as that of any other line before it. In a sorted
//! list it has the host of the line before it nearly always.

/// Hosts are counted by this many hash values: with more hosts, shares are so small that collisions do not matter.
const SLOTS: usize = 1024;

/// The minimum of lines to tell their order.
const FEW: u64 = 64;

/// The minimum of host changes that a shuffled list of these lines would have, to tell their order.
const SEVERAL: f64 = 8.0;

/// The order of the lines of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputOrder {
    /// Nearly all lines are of one host so far, or there are too few.
    Unknown,
    /// Unread lines have the same hosts, in the same shares.
    Mixed,
    /// Lines come host by host.
    Grouped,
}

/// The hosts of the lines so far.
#[derive(Debug)]
pub(super) struct InputHosts {
    counts: Box<[u32; SLOTS]>,
    last: u32,
    lines: u64,
    /// Lines of another host than the line before.
    changes: u64,
    /// How many there would be if these lines had been shuffled.
    expected: f64,
    /// The host of the input's last line, if known.
    end: Option<u32>,
}

impl InputHosts {
    /// An input without lines so far; `host` is that of its last line, if known.
    pub fn ending_with(host: Option<&str>) -> Self {
        let (counts, end) = (Box::new([0; SLOTS]), host.map(hash_of));
        Self { counts, last: 0, lines: 0, changes: 0, expected: 0.0, end }
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Notes the host of the next line, by its hash.
    pub fn note(&mut self, host: u32) {
        let count = &mut self.counts[host as usize % SLOTS];
        if self.lines > 0 {
            self.changes += u64::from(host != self.last);
            self.expected += 1.0 - f64::from(*count) / self.lines as f64;
        }
        *count = count.saturating_add(1);
        self.last = host;
        self.lines += 1;
    }

    /// The share of this host's lines, or more.
    pub fn most_of(&self, host: u32) -> f64 {
        f64::from(self.counts[host as usize % SLOTS]) / self.lines.max(1) as f64
    }

    /// The order of the lines. Lines of a single host are mixed if the last line of the input is one of them.
    pub fn order(&self) -> InputOrder {
        match self.end {
            _ if self.changes == 0 && self.lines > 0 && self.end == Some(self.last) => InputOrder::Mixed,
            _ if self.lines < FEW || self.expected < SEVERAL => InputOrder::Unknown,
            _ if 2.0 * (self.changes as f64) < self.expected => InputOrder::Grouped,
            _ => InputOrder::Mixed,
        }
    }
}

/// The hash of a host's name (FNV-1a).
pub(super) fn hash_of(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order_of(hosts: &[usize]) -> InputOrder {
        let mut input = InputHosts::ending_with(None);
        hosts.iter().for_each(|host| input.note(hash_of(&format!("h{host}.test"))));
        input.order()
    }

    /// Lines of hosts of which each has its share.
    fn lists() -> impl Strategy<Value = Vec<usize>> {
        let shares = prop::collection::vec(prop_oneof![3 => 40usize..60, 1 => 200usize..3000], 2..60);
        shares.prop_map(|shares| shares.iter().enumerate().flat_map(|(host, n)| vec![host; *n]).collect())
    }

    proptest! {
        #[test]
        fn a_shuffled_list_is_mixed_and_a_sorted_one_is_grouped(mut list in lists(), seed in any::<u64>()) {
            let second = list.iter().position(|host| *host == 1).expect("there are two hosts");
            for end in [second + 20, (second + 20).max(list.len() / 2), list.len()] {
                prop_assert_eq!(order_of(&list[..end.max(FEW as usize)]), InputOrder::Grouped);
            }
            fastrand::Rng::with_seed(seed).shuffle(&mut list);
            prop_assert_eq!(order_of(&list), InputOrder::Mixed);
        }
    }

    #[test]
    fn the_last_line_says_whether_a_list_has_one_host() {
        let of_one_host = |end| {
            let mut input = InputHosts::ending_with(end);
            (0..1000).for_each(|_| input.note(hash_of("a.test")));
            input.order()
        };
        assert_eq!(of_one_host(None), InputOrder::Unknown);
        assert_eq!(of_one_host(Some("b.test")), InputOrder::Unknown);
        assert_eq!(of_one_host(Some("a.test")), InputOrder::Mixed);
    }
}

//! Where each unsettled line waits, by turn: answers "which line is the oldest, and where is it?".

use std::collections::BTreeMap;

/// The hosts of the unsettled lines, by turn. As large as the window, however long its oldest line waits while others
/// pass.
#[derive(Debug, Default)]
pub struct Turns(BTreeMap<u64, usize>);

impl Turns {
    /// The line of this turn is now a matter of this host.
    pub fn place(&mut self, turn: u64, host: usize) {
        self.0.insert(turn, host);
    }

    /// The line of this turn is settled.
    pub fn settle(&mut self, turn: u64) {
        self.0.remove(&turn);
    }

    /// The host of an unsettled line.
    pub fn host_of(&self, turn: u64) -> Option<usize> {
        self.0.get(&turn).copied()
    }

    /// The oldest unsettled line: its turn and its host.
    pub fn oldest(&self) -> Option<(u64, usize)> {
        self.0.first_key_value().map(|(turn, host)| (*turn, *host))
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    #[test]
    fn the_oldest_is_the_first_that_is_not_settled() {
        let mut turns = Turns::default();
        for turn in 0..4 {
            turns.place(turn, 10 + turn as usize);
        }
        turns.settle(1);
        assert_eq!(turns.oldest(), Some((0, 10)));
        turns.settle(0);
        assert_eq!(turns.oldest(), Some((2, 12)));
        turns.place(2, 99);
        assert_eq!(turns.oldest(), Some((2, 99)));
        turns.settle(2);
        turns.settle(3);
        assert_eq!(turns.oldest(), None);
        turns.place(7, 1);
        assert_eq!(turns.oldest(), Some((7, 1)));
    }

    #[test]
    fn a_line_that_waits_while_others_pass_costs_no_memory() {
        let mut turns = Turns::default();
        turns.place(0, 1);
        for turn in 1..1000 {
            turns.place(turn, 2);
            turns.settle(turn);
        }
        assert_eq!(turns.0.len(), 1);
        assert_eq!(turns.oldest(), Some((0, 1)));
    }
}

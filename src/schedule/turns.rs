//! Where each unsettled line waits, by turn: answers "which line is the oldest, and where is it?".

use std::collections::VecDeque;

/// The hosts of the unsettled lines, in the order of their turns.
#[derive(Debug, Default)]
pub struct Turns {
    base: u64,
    hosts: VecDeque<Option<usize>>,
}

impl Turns {
    /// The line of this turn is now a matter of this host.
    pub fn place(&mut self, turn: u64, host: usize) {
        let at = self.index(turn);
        if self.hosts.len() <= at {
            self.hosts.resize(at + 1, None);
        }
        self.hosts[at] = Some(host);
    }

    /// The line of this turn is settled.
    pub fn settle(&mut self, turn: u64) {
        let at = self.index(turn);
        if let Some(host) = self.hosts.get_mut(at) {
            *host = None;
        }
        while let Some(None) = self.hosts.front() {
            self.hosts.pop_front();
            self.base += 1;
        }
    }

    /// The oldest unsettled line: its turn and its host.
    pub fn oldest(&self) -> Option<(u64, usize)> {
        self.hosts.front().copied().flatten().map(|host| (self.base, host))
    }

    fn index(&mut self, turn: u64) -> usize {
        if self.hosts.is_empty() {
            self.base = turn;
        }
        usize::try_from(turn.saturating_sub(self.base)).unwrap_or(usize::MAX)
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
}

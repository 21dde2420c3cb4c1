//! When the time of lines is over.

use std::time::Duration;

use super::{LineBook, LineId};

impl LineBook {
    /// When the line's time is over, on the clock of its host: `deadline`, if none is set yet.
    pub fn deadline_or_set(&mut self, id: LineId, deadline: Duration) -> Duration {
        *self.lines[id].deadline.get_or_insert(deadline)
    }

    /// Takes the line's deadline back: the next one that is set counts.
    pub fn unset_deadline(&mut self, id: LineId) {
        self.end_at(id, None);
        self.lines[id].deadline = None;
    }

    /// Lets the line's time end at another time: it goes to a host with another clock.
    pub fn move_deadline(&mut self, id: LineId, to: impl FnOnce(Duration) -> Duration) {
        let line = &mut self.lines[id];
        line.deadline = line.deadline.map(to);
    }

    /// Lets the time of a waiting line end then, on the clock of the run; never, while its host's clock stands still.
    pub fn end_at(&mut self, id: LineId, ends_at: Option<Duration>) {
        if self.lines[id].ends_at == ends_at {
            return;
        }
        if let Some(was) = std::mem::replace(&mut self.lines[id].ends_at, ends_at) {
            self.deadlines.remove(&(was, id));
        }
        self.deadlines.extend(ends_at.map(|at| (at, id)));
    }

    /// When the time of a line is over, on the clock of its host, if it was on the wire.
    pub fn deadline(&self, id: LineId) -> Option<Duration> {
        self.lines[id].deadline
    }

    /// The earliest end of a waiting line's time, and that line.
    pub fn first_deadline(&self) -> Option<(Duration, LineId)> {
        self.deadlines.first().copied()
    }
}

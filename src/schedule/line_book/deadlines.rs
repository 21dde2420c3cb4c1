//! The deadlines of lines.

use std::time::Duration;

use super::{LineBook, LineId};

impl LineBook {
    /// The line's deadline on the clock of its host; sets it to `deadline` if there is none.
    pub fn deadline_or_set(&mut self, id: LineId, deadline: Duration) -> Duration {
        *self.lines[id].deadline.get_or_insert(deadline)
    }

    /// Removes the line's deadline.
    pub fn unset_deadline(&mut self, id: LineId) {
        self.end_at(id, None);
        self.lines[id].deadline = None;
    }

    /// Moves the line's deadline to the clock of another host.
    pub fn move_deadline(&mut self, id: LineId, to: impl FnOnce(Duration) -> Duration) {
        let line = &mut self.lines[id];
        line.deadline = line.deadline.map(to);
    }

    /// Sets a waiting line's deadline on the clock of the run; `None` while its host's clock stands still.
    pub fn end_at(&mut self, id: LineId, ends_at: Option<Duration>) {
        if self.lines[id].ends_at == ends_at {
            return;
        }
        if let Some(was) = std::mem::replace(&mut self.lines[id].ends_at, ends_at) {
            self.deadlines.remove(&(was, id));
        }
        self.deadlines.extend(ends_at.map(|at| (at, id)));
    }

    /// The line's deadline on the clock of its host, if it was on the wire.
    pub fn deadline(&self, id: LineId) -> Option<Duration> {
        self.lines[id].deadline
    }

    /// The earliest deadline of a waiting line, and that line.
    pub fn first_deadline(&self) -> Option<(Duration, LineId)> {
        self.deadlines.first().copied()
    }
}

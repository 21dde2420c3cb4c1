//! The backlogs of hosts: those that send are ordered by the length of their backlog, and those that are held until a
//! time by its end. The longest is the first of either order.

use std::time::Duration;

use super::backlog_index::BacklogIndex;
use super::timers::Timers;
use crate::schedule::line_book::HostId;

/// The backlog of a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::schedule) enum Backlog {
    None,
    /// Its lines are sent one after the other, and take this many seconds.
    Sends(f32),
    /// No line starts for now, and its lines are done at this time.
    HeldUntil(Duration),
}

/// The backlogs of all hosts.
#[derive(Debug, Default)]
pub(in crate::schedule) struct Backlogs {
    by_seconds: BacklogIndex,
    by_end: Timers<HostId>,
    /// By host: its time in `by_end`.
    ends: Vec<Option<Duration>>,
}

impl Backlogs {
    /// Notes the backlog of a host.
    pub fn set(&mut self, id: HostId, backlog: Backlog) {
        let (seconds, end) = match backlog {
            Backlog::None => (None, None),
            Backlog::Sends(seconds) => (Some(seconds), None),
            Backlog::HeldUntil(end) => (None, Some(end)),
        };
        self.by_seconds.set(id, seconds);
        if self.ends.len() <= id && end.is_some() {
            self.ends.resize(id + 1, None);
        }
        if let Some(kept) = self.ends.get_mut(id) {
            self.by_end.set(id, kept, end);
        }
    }

    /// The host with the longest backlog, or nearly, of those that send.
    pub fn longest(&self) -> Option<HostId> {
        self.by_seconds.first()
    }

    /// The held host that is done last, and when.
    pub fn last_held(&self) -> Option<(Duration, HostId)> {
        self.by_end.last()
    }
}

//! The backlogs of hosts: those that send are ordered by the length of their backlog, and those that are held until a time by
//! its end. What the run waits for longest is the first of either.

use std::time::Duration;

use super::backlog_index::BacklogIndex;
use super::timers::Timers;
use crate::schedule::line_book::HostId;

/// What a host still has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::schedule) enum Backlog {
    None,
    /// Its lines go out one after the other, and take so many seconds.
    Sends(f32),
    /// Nothing starts for now, and its lines are done then.
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

    /// The host with the longest backlog of those that send, or one that is as good as that.
    pub fn longest(&self) -> Option<HostId> {
        self.by_seconds.first()
    }

    /// The host that is done last of those that are held, and when that is.
    pub fn last_held(&self) -> Option<(Duration, HostId)> {
        self.by_end.last()
    }
}

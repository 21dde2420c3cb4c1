//! The states of hosts that outlast a run: pauses (Retry-After, 429) and open circuits.
//!
//! In: the state of a host, each time it changes. Out: all states that are not over, few enough to be saved often. All
//! times are durations from now: the next run has another clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::line_book::HostId;
use crate::item::ErrorKind;

/// The most that are saved. When there are more, those with the longest pause come first.
const MOST: usize = 4096;

/// A host in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// Its name, with its port where that makes it a host of its own.
    pub host: Arc<str>,
    /// For how long none of its lines may start.
    pub paused: Duration,
    /// For how long its lines fail, for it asked for more rest than they may wait.
    pub closed: Duration,
    /// Its ports that cannot be reached.
    pub unreachable: Vec<OpenCircuit>,
}

/// A port of a host whose circuit is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCircuit {
    /// The port.
    pub port: u16,
    /// For how long it was tried in vain.
    pub tried: Duration,
    /// From when on one of its lines may probe it.
    pub probe: Duration,
    /// For how long this is kept.
    pub remembered: Duration,
    /// What the last attempt said.
    pub last_error: (ErrorKind, String),
}

/// The hosts in trouble, by the end of their trouble.
#[derive(Debug, Default)]
pub(super) struct HostStates {
    hosts: BTreeSet<(StateEnd, HostId)>,
    changed: bool,
}

impl HostStates {
    /// Notes until when a host is in trouble, in place of what was noted.
    pub fn note(&mut self, id: HostId, noted: &mut StateEnd, end: StateEnd, now: Duration) {
        let was = std::mem::replace(noted, end);
        if was == end {
            return;
        }
        self.hosts.remove(&(was, id));
        if end != StateEnd::default() {
            self.hosts.insert((end, id));
        }
        self.changed |= was.as_of(now) != end;
    }

    /// Whether anything changed since they were last taken. That a state is over when it was to be over is no change.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// The hosts in trouble; what lasts longest comes first.
    pub fn take(&mut self, now: Duration) -> impl Iterator<Item = HostId> {
        self.changed = false;
        let left = self.hosts.iter().rev().filter(move |(end, _)| end.as_of(now) != StateEnd::default());
        left.take(MOST).map(|(_, id)| *id)
    }
}

/// Until when a host is in trouble; zero where it is not. Its pause comes before its circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StateEnd {
    pub pause: Duration,
    pub circuit: Duration,
}

impl StateEnd {
    /// The same without what is over.
    pub fn as_of(self, now: Duration) -> Self {
        let left = |end| if end > now { end } else { Duration::ZERO };
        Self { pause: left(self.pause), circuit: left(self.circuit) }
    }
}

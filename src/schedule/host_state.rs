//! The states of hosts that outlast a run: pauses (Retry-After, 429) and open circuits.
//!
//! In: the state of a host, each time it changes. Out: all states that are not over, few enough to be saved often. All
//! times are durations from now, because the next run has another clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::line_book::HostId;
use crate::item::ErrorKind;

/// The most states that are saved; those with the longest pauses come first.
const MOST: usize = 4096;

/// A host with a pause or an open circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// Its name, with the port if a pattern has it.
    pub host: Arc<str>,
    /// For how long none of its lines may start.
    pub paused: Duration,
    /// For how long its lines fail, because its pause is longer than `retry.max_retry_after`.
    pub closed: Duration,
    /// Its ports that cannot be reached.
    pub unreachable: Vec<OpenCircuit>,
}

/// A port of a host whose circuit is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCircuit {
    /// The port.
    pub port: u16,
    /// For how long attempts have failed.
    pub tried: Duration,
    /// From when on one of its lines may probe it.
    pub probe: Duration,
    /// For how long this is kept.
    pub remembered: Duration,
    /// The error of the last attempt.
    pub last_error: (ErrorKind, String),
}

/// The hosts with a pause or an open circuit, by its end.
#[derive(Debug, Default)]
pub(super) struct HostStates {
    hosts: BTreeSet<(StateEnd, HostId)>,
    changed: bool,
}

impl HostStates {
    /// Replaces the noted end of a host's state.
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

    /// Whether a state changed since the last [`Self::take`]. A state that ends on time is no change.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// The hosts whose state is not over, the longest first.
    pub fn take(&mut self, now: Duration) -> impl Iterator<Item = HostId> {
        self.changed = false;
        let left = self.hosts.iter().rev().filter(move |(end, _)| end.as_of(now) != StateEnd::default());
        left.take(MOST).map(|(_, id)| *id)
    }
}

/// The ends of a host's pause and open circuit; zero for none. The pause orders before the circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StateEnd {
    pub pause: Duration,
    pub circuit: Duration,
}

impl StateEnd {
    /// The same without ends that have passed.
    pub fn as_of(self, now: Duration) -> Self {
        let left = |end| if end > now { end } else { Duration::ZERO };
        Self { pause: left(self.pause), circuit: left(self.circuit) }
    }
}

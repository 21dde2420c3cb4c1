//! The states of hosts that outlast a run: pauses (Retry-After, 429) and open circuits.
//!
//! In: the state of a host, each time it changes. Out: all states that are not over, few enough to be saved often. All
//! times are durations from now: the next run has another clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::item::Kind;

/// The most that are told of. When there are more, those come first that asked for the longest rest.
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
    /// What is known of a host that cannot be reached.
    pub unreachable: Option<OpenCircuit>,
}

/// A host whose circuit is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCircuit {
    /// For how long it was tried in vain.
    pub tried: Duration,
    /// From when on one of its lines may ask whether it is back.
    pub probe: Duration,
    /// For how long this is worth remembering.
    pub remembered: Duration,
    /// What the last attempt said.
    pub last_error: (Kind, String),
}

/// Which hosts are in trouble.
#[derive(Debug, Default)]
pub(super) struct HostStates {
    hosts: BTreeSet<(End, usize)>,
    /// Whether there is anything new since they were last told.
    news: bool,
}

/// Until when a host is in trouble; zero where it is not. Its own wish comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub pause: Duration,
    pub circuit: Duration,
}

impl End {
    /// The same without what is over.
    pub fn as_of(self, now: Duration) -> Self {
        let left = |end| if end > now { end } else { Duration::ZERO };
        Self { pause: left(self.pause), circuit: left(self.circuit) }
    }
}

impl Core {
    /// Begins with what the run before knew of hosts in trouble.
    pub fn recall(&mut self, known: Vec<HostState>, now: Duration) {
        for host_state in known {
            // A table without room has none for the others either.
            let Some(id) = self.host_called(&host_state.host, now) else { return };
            let clocks = self.clocks(now);
            self.hosts[id].recall(host_state, &self.settings, clocks);
            self.refresh(id, now);
        }
    }

    /// Whether there is anything new about hosts in trouble since they were last told. That its trouble is over when it was
    /// to be over is no news.
    pub fn has_host_state_changes(&self) -> bool {
        self.host_states.news
    }

    /// The hosts in trouble.
    pub fn host_states(&mut self, now: Duration) -> Vec<HostState> {
        self.host_states.news = false;
        let clocks = self.clocks(now);
        let last_ends_first = self.host_states.hosts.iter().rev();
        let left = last_ends_first.filter(|(end, _)| end.as_of(now) != End::default());
        left.take(MOST).map(|(_, id)| self.hosts[*id].host_state(&self.settings, clocks)).collect()
    }

    /// Notes until when a host is in trouble.
    pub(super) fn note_host_state(&mut self, id: usize, end: End, now: Duration) {
        let was = std::mem::replace(&mut self.hosts[id].noted, end);
        if was == end {
            return;
        }
        self.host_states.hosts.remove(&(was, id));
        if end != End::default() {
            self.host_states.hosts.insert((end, id));
        }
        self.host_states.news |= was.as_of(now) != end;
    }

    /// The number of a host that the run before called so. If its port is no host of its own any more, it is that of all
    /// its ports.
    fn host_called(&mut self, key: &str, now: Duration) -> Option<usize> {
        let with_port = key.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
        let (key, name, port) = match with_port {
            Some((name, port)) if self.settings.hosts.names_port(name, port) => (key, name, port),
            Some((name, _)) => (name, name, 0),
            None => (key, key, 0),
        };
        if let Some(id) = self.names.get(key) {
            return Some(*id);
        }
        self.admit(key, self.settings.limits_of(name, port), self.settings.max_hosts, now)
    }
}

//! Hosts in trouble, as the next run is to know of them: those that want to be left alone, and those that cannot be
//! reached.
//!
//! In: what is known of a host, each time it changes. Out: the hosts in trouble, few enough to be written down often.
//! All times are lengths: the next run has another clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::item::Kind;

/// The most that are told of. When there are more, those come first that asked for the longest rest.
const MOST: usize = 4096;

/// A host in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its name, with its port where that makes it a host of its own.
    pub host: Arc<str>,
    /// For how long none of its lines may start.
    pub paused: Duration,
    /// For how long its lines fail, for it asked for more rest than they may wait.
    pub closed: Duration,
    /// What is known of a host that cannot be reached.
    pub unreachable: Option<Unreachable>,
}

/// A host whose circuit is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
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
pub(super) struct Troubles {
    hosts: BTreeSet<(End, usize)>,
    /// Whether there is anything new since they were last told.
    news: bool,
}

/// Until when a host is in trouble; zero where it is not. Its own wish comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub rest: Duration,
    pub circuit: Duration,
}

impl End {
    /// The same without what is over.
    pub fn as_of(self, now: Duration) -> Self {
        let left = |end| if end > now { end } else { Duration::ZERO };
        Self { rest: left(self.rest), circuit: left(self.circuit) }
    }
}

impl Core {
    /// Begins with what the run before knew of hosts in trouble.
    pub fn recall(&mut self, known: Vec<Trouble>, now: Duration) {
        for trouble in known {
            // A table without room has none for the others either.
            let Some(id) = self.host_called(&trouble.host, now) else { return };
            let clocks = self.clocks(now);
            self.hosts[id].recall(trouble, &self.settings, clocks);
            self.refresh(id, now);
        }
    }

    /// Whether there is anything new about hosts in trouble since they were last told. That a trouble is over when it was
    /// to be over is no news.
    pub fn has_news_of_troubles(&self) -> bool {
        self.troubles.news
    }

    /// The hosts in trouble.
    pub fn troubles(&mut self, now: Duration) -> Vec<Trouble> {
        self.troubles.news = false;
        let clocks = self.clocks(now);
        let last_ends_first = self.troubles.hosts.iter().rev();
        let left = last_ends_first.filter(|(end, _)| end.as_of(now) != End::default());
        left.take(MOST).map(|(_, id)| self.hosts[*id].trouble(&self.settings, clocks)).collect()
    }

    /// Notes until when a host is in trouble.
    pub(super) fn note_trouble(&mut self, id: usize, end: End, now: Duration) {
        let was = std::mem::replace(&mut self.hosts[id].noted, end);
        if was == end {
            return;
        }
        self.troubles.hosts.remove(&(was, id));
        if end != End::default() {
            self.troubles.hosts.insert((end, id));
        }
        self.troubles.news |= was.as_of(now) != end;
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

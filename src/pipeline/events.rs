//! The last hundred events of a run, for operators.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The most events that are kept.
const MOST: usize = 100;

/// The most events of hosts among them, so that many of these do not displace operators' actions.
const MOST_OF_HOSTS: usize = MOST / 2;

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The run began to take lines, began to drain, or ended.
    State,
    /// A reload of the configuration succeeded or failed.
    Reload,
    /// An operator paused, resumed, skipped or limited something, or rotated or drained.
    Override,
    /// The circuit of a port opened or closed.
    Circuit,
    /// A robots.txt became unavailable, or was fetched again.
    Robots,
    /// A sink or a stage waits for too long.
    Blocked,
    /// A disk is full.
    Disk,
    /// A blocked part, or a full disk, has recovered.
    Recovered,
}

impl EventKind {
    /// Whether each of many hosts may bring such events.
    fn is_of_host(self) -> bool {
        matches!(self, Self::Circuit | Self::Robots)
    }

    /// The name of the kind in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Reload => "reload",
            Self::Override => "override",
            Self::Circuit => "circuit",
            Self::Robots => "robots",
            Self::Blocked => "blocked",
            Self::Disk => "disk",
            Self::Recovered => "recovered",
        }
    }
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The time of the event.
    pub at: SystemTime,
    /// The kind of the event.
    pub kind: EventKind,
    /// A whole sentence.
    pub text: String,
}

/// The last events, the oldest first; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<VecDeque<Event>>>);

impl Events {
    /// Notes an event with the present time. `text` is a whole sentence without secrets.
    pub fn note(&self, kind: EventKind, text: impl Into<String>) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_host = |event: &Event| event.kind.is_of_host();
        let of_hosts = if kind.is_of_host() { events.iter().filter(|event| of_host(event)).count() } else { 0 };
        if of_hosts == MOST_OF_HOSTS {
            let oldest = events.iter().position(of_host);
            oldest.and_then(|place| events.remove(place));
        } else if events.len() == MOST {
            events.pop_front();
        }
        events.push_back(Event { at: SystemTime::now(), kind, text: text.into() });
    }

    /// All kept events, the oldest first.
    pub fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_events_are_kept() {
        let events = Events::default();
        (0..250).for_each(|n| events.note(EventKind::State, format!("{n}")));
        let texts: Vec<_> = events.all().into_iter().map(|event| event.text).collect();
        assert_eq!((texts.len(), texts[0].as_str(), texts[99].as_str()), (100, "150", "249"));
    }

    #[test]
    fn a_storm_of_hosts_does_not_drive_out_what_operators_did() {
        let events = Events::default();
        (0..60).for_each(|n| events.note(EventKind::Override, format!("{n}")));
        (0..200).for_each(|n| events.note(EventKind::Circuit, format!("{n}")));
        (200..250).for_each(|n| events.note(EventKind::Robots, format!("{n}")));
        let texts = |kind| {
            let events = events.all().into_iter().filter(move |event| event.kind == kind);
            events.map(|event| event.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(EventKind::Override), (10..60).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(texts(EventKind::Circuit), Vec::<String>::new());
        assert_eq!(texts(EventKind::Robots), (200..250).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

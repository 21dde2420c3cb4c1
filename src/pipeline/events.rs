//! What happened in a run that an operator wants to know afterwards: the last hundred events.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Events that are kept.
const MOST: usize = 100;

/// Of these, events on circuits: a storm of them leaves room for what operators did.
const MOST_CIRCUITS: usize = MOST / 2;

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The state of the run changed: it takes lines, drains, has ended.
    State,
    /// The configuration was loaded anew, or could not be.
    Reload,
    /// An operator paused, resumed, skipped or limited something, or rotated or drained.
    Override,
    /// A port of a host cannot be reached, or can be again.
    Circuit,
    /// A sink or a stage waits for too long.
    Blocked,
    /// A disk is full.
    Disk,
    /// What was blocked or full is not any more.
    Recovered,
}

impl EventKind {
    /// The word for it in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Reload => "reload",
            Self::Override => "override",
            Self::Circuit => "circuit",
            Self::Blocked => "blocked",
            Self::Disk => "disk",
            Self::Recovered => "recovered",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What kind of event it is.
    pub kind: EventKind,
    /// A whole sentence.
    pub text: String,
}

/// The last events, the oldest first; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<VecDeque<Event>>>);

impl Events {
    /// Something happened now. `text` is a whole sentence, without secrets.
    pub fn note(&self, kind: EventKind, text: impl Into<String>) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_circuit = |event: &Event| event.kind == EventKind::Circuit;
        let circuits =
            if kind == EventKind::Circuit { events.iter().filter(|event| is_circuit(event)).count() } else { 0 };
        if circuits == MOST_CIRCUITS {
            let oldest = events.iter().position(is_circuit);
            oldest.and_then(|place| events.remove(place));
        } else if events.len() == MOST {
            events.pop_front();
        }
        events.push_back(Event { at: SystemTime::now(), kind, text: text.into() });
    }

    /// All that are kept.
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
    fn a_storm_of_circuits_does_not_drive_out_what_operators_did() {
        let events = Events::default();
        (0..60).for_each(|n| events.note(EventKind::Override, format!("{n}")));
        (0..250).for_each(|n| events.note(EventKind::Circuit, format!("{n}")));
        let texts = |kind| {
            let events = events.all().into_iter().filter(move |event| event.kind == kind);
            events.map(|event| event.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(EventKind::Override), (10..60).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(texts(EventKind::Circuit), (200..250).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

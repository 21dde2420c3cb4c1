//! Circuits that have opened or closed: facts that the core keeps until its caller takes them ([`Core::take_circuit_change`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Core;
use super::circuit_breaker::{CircuitSwitch, Contact, GaveUp, GiveUpTurn};
use super::job::Job;
use super::line_book::HostId;
use crate::hosts::port_of;
use crate::item::Attempt;

/// Changes that are kept, at most: a caller takes them each turn, and few of its turns change as many circuits.
pub const MOST_CIRCUIT_CHANGES: usize = 1024;

/// The circuit of a port of a host opened or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitChange {
    /// The name of the host, with its port where that makes it a host of its own.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
    /// What it changed to.
    pub switch: CircuitSwitch,
}

/// The changes that were not taken yet.
#[derive(Debug, Default)]
pub(super) struct CircuitChanges {
    changes: VecDeque<CircuitChange>,
    dropped: u64,
}

impl CircuitChanges {
    /// Notes that a circuit changed, if it did.
    pub fn note(&mut self, host: &Arc<str>, port: u16, switch: Option<CircuitSwitch>) {
        let Some(switch) = switch else { return };
        if self.changes.len() < MOST_CIRCUIT_CHANGES {
            self.changes.push_back(CircuitChange { host: Arc::clone(host), port, switch });
        } else {
            self.dropped += 1;
        }
    }
}

impl Core {
    /// The first circuit that opened or closed and was not taken yet. A circuit that is forgotten while it is open does not close.
    pub fn take_circuit_change(&mut self) -> Option<CircuitChange> {
        self.circuit_changes.changes.pop_front()
    }

    /// How many more opened or closed than were kept, since the last call.
    pub fn take_dropped_circuit_changes(&mut self) -> u64 {
        std::mem::take(&mut self.circuit_changes.dropped)
    }

    /// So many lines of a port waited in vain.
    pub(super) fn note_gave_up(&mut self, id: HostId, gave_up: &GaveUp, lines: usize) {
        let switch = (gave_up.turn == GiveUpTurn::First).then_some(CircuitSwitch::GaveUp { lines });
        self.circuit_changes.note(&self.hosts[id].name, gave_up.port, switch);
    }

    /// Tells the circuit of the job's port whether its attempt reached it.
    pub(super) fn note_contact(&mut self, id: HostId, job: &Job, attempt: &Attempt, now: Duration) {
        let (url, clocks): (&Url, _) = (&job.call.request.url, self.clocks(id, now));
        let host = &mut self.hosts[id];
        let switch = host.queue.end(url, job.ticket.ordinal, Contact::of(attempt), &self.settings.health, clocks);
        self.circuit_changes.note(&host.name, port_of(url), switch);
    }
}

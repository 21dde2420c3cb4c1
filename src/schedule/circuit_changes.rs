//! Changes of circuits, which the core keeps until its caller takes them ([`Core::take_circuit_change`]).

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

/// The most changes that are kept: a caller takes them each turn, and few turns change as many circuits.
pub const MOST_CIRCUIT_CHANGES: usize = 1024;

/// A change of the circuit of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitChange {
    /// The name of the host, with the port if a pattern has it.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
    /// The change.
    pub switch: CircuitSwitch,
}

/// The changes that were not taken yet.
#[derive(Debug, Default)]
pub(super) struct CircuitChanges {
    changes: VecDeque<CircuitChange>,
    dropped: u64,
}

impl CircuitChanges {
    /// Notes a change, if there is one.
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
    /// The first change that was not taken yet. A circuit that is dropped while it is open does not close.
    pub fn take_circuit_change(&mut self) -> Option<CircuitChange> {
        self.circuit_changes.changes.pop_front()
    }

    /// The number of changes since the last call that were not kept.
    pub fn take_dropped_circuit_changes(&mut self) -> u64 {
        std::mem::take(&mut self.circuit_changes.dropped)
    }

    /// Notes that lines of a port failed because they waited too long.
    pub(super) fn note_gave_up(&mut self, id: HostId, gave_up: &GaveUp, lines: usize) {
        let switch = (gave_up.turn == GiveUpTurn::First).then_some(CircuitSwitch::GaveUp { lines });
        self.circuit_changes.note(&self.hosts[id].name, gave_up.port, switch);
    }

    /// Notes in the circuit of the job's port whether the attempt reached it.
    pub(super) fn note_contact(&mut self, id: HostId, job: &Job, attempt: &Attempt, now: Duration) {
        let (url, clocks): (&Url, _) = (&job.call.request.url, self.clocks(id, now));
        let host = &mut self.hosts[id];
        let switch = host.queue.end(url, job.ticket.ordinal, Contact::of(attempt), &self.settings.health, clocks);
        self.circuit_changes.note(&host.name, port_of(url), switch);
    }
}

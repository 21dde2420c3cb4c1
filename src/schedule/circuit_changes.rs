//! Changes of circuits, which the core keeps until its caller takes them ([`Core::take_circuit_change`]).

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Core;
use super::changes::Changes;
use super::circuit_breaker::{CircuitSwitch, Contact, GaveUp, GiveUpTurn};
use super::job::Job;
use super::line_book::HostId;
use crate::hosts::port_of;
use crate::item::Attempt;

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

impl Changes<CircuitChange> {
    /// Notes the change of a port's circuit, if there is one.
    pub fn note_switch(&mut self, host: &Arc<str>, port: u16, switch: Option<CircuitSwitch>) {
        if let Some(switch) = switch {
            self.note(CircuitChange { host: Arc::clone(host), port, switch });
        }
    }
}

impl Core {
    /// The first change that was not taken yet. A circuit that is dropped while it is open does not close.
    pub fn take_circuit_change(&mut self) -> Option<CircuitChange> {
        self.circuit_changes.take()
    }

    /// The number of changes since the last call that were not kept.
    pub fn take_dropped_circuit_changes(&mut self) -> u64 {
        self.circuit_changes.take_dropped()
    }

    /// Notes that lines of a port failed because they waited too long.
    pub(super) fn note_gave_up(&mut self, id: HostId, gave_up: &GaveUp, lines: usize) {
        let switch = (gave_up.turn == GiveUpTurn::First).then_some(CircuitSwitch::GaveUp { lines });
        self.circuit_changes.note_switch(&self.hosts[id].name, gave_up.port, switch);
    }

    /// Notes in the circuit of the job's port whether the attempt reached it.
    pub(super) fn note_contact(&mut self, id: HostId, job: &Job, attempt: &Attempt, now: Duration) {
        let (url, clocks): (&Url, _) = (&job.call.request.url, self.clocks(id, now));
        let host = &mut self.hosts[id];
        let switch = host.queue.end(url, job.ticket.ordinal, Contact::of(attempt), &self.settings.health, clocks);
        self.circuit_changes.note_switch(&host.name, port_of(url), switch);
    }
}

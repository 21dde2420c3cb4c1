//! Ports of a host, for operators and queries.

use std::time::Duration;

use super::{Lines, Port, Ports};
use crate::schedule::circuit_breaker::CircuitSwitch;
use crate::schedule::job::Job;
use crate::schedule::stall_clock::Now;

impl Ports {
    /// When the next line of a port is due, apart from its circuit.
    pub fn due(&self, port: u16) -> Option<Duration> {
        self.ports.get(&port)?.next_due()
    }

    /// The lines of a held port, if this one is among them.
    pub fn lines_with(&self, port: u16, ordinal: u64, due: Option<Duration>) -> Option<&Lines> {
        self.ports.get(&port).map(|port| &port.lines).filter(|lines| lines.has(ordinal, due))
    }

    /// Takes a line with an ordinal below this, if one waits here.
    pub fn take_below(&mut self, ordinal: u64) -> Option<Box<Job>> {
        let has_some = |port: &Port| port.lines.jobs().any(|job| job.ticket.ordinal < ordinal);
        let number = self.ports.iter().find(|(_, port)| has_some(port)).map(|(number, _)| *number)?;
        self.change(number, |port| port.lines.take_below(ordinal))
    }

    /// The numbers of all ports.
    pub fn numbers(&self) -> Vec<u16> {
        self.ports.keys().copied().collect()
    }

    /// Closes the circuit of this port; returns the change if it was open.
    pub fn close(&mut self, port: u16, now: Now) -> Option<CircuitSwitch> {
        self.change(port, |port| port.circuit.close(now))
    }
}

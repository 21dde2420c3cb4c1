//! The circuits of the ports of one host, as its queue has them.

use std::time::Duration;

use super::ports::OpenPort;
use super::queue::HostQueue;
use crate::schedule::HealthPolicy;
use crate::schedule::circuit_breaker::{CircuitSwitch, GaveUp};
use crate::schedule::host_state::OpenCircuit;
use crate::schedule::stall_clock::Now;

impl HostQueue {
    /// The circuit of this port, if it is open.
    pub fn open_port(&self, port: u16) -> Option<OpenPort> {
        self.ports.as_ref()?.open_port(port)
    }

    /// When the lines of some port give up waiting for it, on the clock of lines.
    pub fn gives_up_at(&self) -> Option<Duration> {
        self.ports.as_ref()?.gives_up_at()
    }

    /// When the last of its lines give up, on the clock of lines, if all of them wait for open circuits.
    pub fn all_give_up_at(&self) -> Option<Duration> {
        self.ports.as_ref().filter(|_| self.lines.len() == 0)?.all_give_up_at()
    }

    /// When the lines of the last port give up waiting for it, on the clock of lines.
    pub fn last_gives_up_at(&self) -> Option<Duration> {
        self.ports.as_ref()?.last_gives_up_at()
    }

    /// A port whose lines waited too long, and their error.
    pub fn gave_up(&mut self, now: Now) -> Option<GaveUp> {
        self.ports.as_mut()?.gave_up(now)
    }

    /// Until when a host without lines keeps its failures.
    pub fn kept_until(&self) -> Duration {
        self.ports.as_ref().map_or(Duration::ZERO, |ports| ports.kept_until())
    }

    /// Until when a circuit of it is worth storing.
    pub fn open_until(&self) -> Duration {
        self.ports.as_ref().map_or(Duration::ZERO, |ports| ports.open_until())
    }

    /// Its open circuits for the next run.
    pub fn unreachable(&self, policy: &HealthPolicy, now: Now) -> Vec<OpenCircuit> {
        self.ports.as_ref().map(|ports| ports.unreachable(policy, now)).unwrap_or_default()
    }

    /// Restores a circuit of the previous run.
    pub fn restore(&mut self, known: OpenCircuit, policy: &HealthPolicy, now: Now) -> Option<CircuitSwitch> {
        let port = known.port;
        let switch = self.ports.get_or_insert_default().restore(known, policy, now);
        self.follow(port);
        switch
    }

    /// The ports that have a state.
    pub fn known_ports(&self) -> Vec<u16> {
        self.ports.as_ref().map(|ports| ports.numbers()).unwrap_or_default()
    }

    /// Closes the circuit of a port.
    pub fn close_circuit(&mut self, port: u16, now: Now) -> Option<CircuitSwitch> {
        let switch = self.ports.as_mut()?.close(port, now);
        self.follow(port);
        switch
    }
}

//! Reports circuits that opened or closed, as events and log lines.

use super::scheduler::Scheduler;
use super::{EventKind, Events};
use crate::schedule::{CircuitChange, CircuitSwitch};
use crate::units::counted;

impl Scheduler {
    /// Reports circuits that opened or closed since the last call.
    pub(super) fn tell_of_circuits(&mut self) {
        while let Some(change) = self.core.take_circuit_change() {
            tell(&change, self.status.events());
        }
        let dropped = self.core.take_dropped_circuit_changes();
        if dropped > 0 {
            let message = format!("{} more opened or closed.", counted(dropped, "circuit"));
            self.status.events().note(EventKind::Circuit, message);
        }
    }
}

/// Notes the event before the log line, so that a reader of the line finds the event.
fn tell(change: &CircuitChange, events: &Events) {
    let CircuitChange { host, port, switch } = change;
    let message = sentence(change);
    events.note(EventKind::Circuit, format!("{message}."));
    match switch {
        CircuitSwitch::Opened(kind) => {
            tracing::warn!(event = "circuit_open", %host, port, kind = kind.name(), "{message}");
        }
        CircuitSwitch::GaveUp { .. } => tracing::warn!(event = "circuit_gave_up", %host, port, "{message}"),
        CircuitSwitch::Closed { .. } => tracing::info!(event = "circuit_closed", %host, port, "{message}"),
    }
}

fn sentence(CircuitChange { host, port, switch }: &CircuitChange) -> String {
    match switch {
        CircuitSwitch::Opened(kind) => format!(
            "{host}: the circuit of port {port} is open ({}); its lines wait, and single requests probe it (health)",
            kind.name()
        ),
        CircuitSwitch::GaveUp { lines } => {
            let lines = counted(*lines as u64, "line");
            format!("{host}: port {port} stayed unreachable, and {lines} ended as circuit_open (health.give_up)")
        }
        CircuitSwitch::Closed { after } => {
            format!("{host}: the circuit of port {port} is closed after {} s", after.as_secs())
        }
    }
}

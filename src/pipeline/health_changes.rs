//! Reports circuits that opened or closed, and sites whose robots.txt became unavailable or was fetched again, as events
//! and log lines. An event comes before its log line, so that a reader of the line finds the event.

use super::scheduler::Scheduler;
use super::{EventKind, Events};
use crate::schedule::{CircuitChange, CircuitSwitch, RobotsChange, RobotsSwitch};
use crate::units::counted;

impl Scheduler {
    /// Reports the changes since the last call.
    pub(super) fn tell_of_health(&mut self) {
        while let Some(change) = self.core.take_circuit_change() {
            tell_of_circuit(&change, self.status.events());
        }
        let dropped = self.core.take_dropped_circuit_changes();
        if dropped > 0 {
            let message = format!("{} more opened or closed.", counted(dropped, "circuit"));
            self.status.events().note(EventKind::Circuit, message);
        }
        while let Some(change) = self.core.take_robots_change() {
            tell_of_robots(&change, self.status.events());
        }
        let dropped = self.core.take_dropped_robots_changes();
        if dropped > 0 {
            let message = format!("The robots.txt of {} more changed.", counted(dropped, "site"));
            self.status.events().note(EventKind::Robots, message);
        }
    }
}

fn tell_of_circuit(change: &CircuitChange, events: &Events) {
    let CircuitChange { host, port, switch } = change;
    let message = circuit_sentence(change);
    events.note(EventKind::Circuit, format!("{message}."));
    match switch {
        CircuitSwitch::Opened(kind) => {
            tracing::warn!(event = "circuit_open", %host, port, kind = kind.name(), "{message}");
        }
        CircuitSwitch::GaveUp { .. } => tracing::warn!(event = "circuit_gave_up", %host, port, "{message}"),
        CircuitSwitch::Closed { .. } => tracing::info!(event = "circuit_closed", %host, port, "{message}"),
    }
}

fn circuit_sentence(CircuitChange { host, port, switch }: &CircuitChange) -> String {
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

fn tell_of_robots(change: &RobotsChange, events: &Events) {
    let host = change.site.split_once("://").map_or("", |(_, host)| host);
    let message = robots_sentence(change);
    events.note(EventKind::Robots, format!("{message}."));
    match &change.switch {
        RobotsSwitch::Unavailable(_) => tracing::warn!(event = "robots_unavailable", host, "{message}"),
        RobotsSwitch::GaveUp => tracing::warn!(event = "robots_gave_up", host, "{message}"),
        RobotsSwitch::Fetched(_) => tracing::info!(event = "robots_fetched", host, "{message}"),
    }
}

fn robots_sentence(RobotsChange { site, switch }: &RobotsChange) -> String {
    match switch {
        RobotsSwitch::Unavailable(why) => format!(
            "{site}/robots.txt cannot be fetched ({why}); the lines of the site wait, and one of them fetches it again \
             after each health.cool_down"
        ),
        RobotsSwitch::GaveUp => {
            format!("{site}/robots.txt stayed unavailable, and lines end as robots_unavailable (health.give_up)")
        }
        RobotsSwitch::Fetched(after) => format!("{site}/robots.txt was fetched again after {} s", after.as_secs()),
    }
}

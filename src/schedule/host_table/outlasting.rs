//! The state of a host that outlasts its lines: until when it is kept, and its state for the next run.

use std::sync::Arc;
use std::time::Duration;

use super::host::Host;
use crate::schedule::circuit_breaker::CircuitSwitch;
use crate::schedule::config::Settings;
use crate::schedule::host_state::{HostState, OpenCircuit, StateEnd};
use crate::schedule::pauses::Pauses;
use crate::schedule::stall_clock::Now;

impl Host {
    /// The ends of its pause and open circuit.
    pub fn state_ends(&self, now: Duration) -> StateEnd {
        StateEnd { pause: self.pause.until().max(self.used_up_until()), circuit: self.queue.open_until() }.as_of(now)
    }

    /// Its state for the next run.
    pub fn host_state(&self, settings: &Settings, now: Now) -> HostState {
        HostState {
            host: Arc::clone(&self.name),
            paused: self.pause.paused_until.max(self.used_up_until()).saturating_sub(now.time),
            closed: self.pause.closed_until.saturating_sub(now.time),
            unreachable: self.queue.unreachable(&settings.health, now),
        }
    }

    /// Restores the pauses of the previous run; [`Host::restore_circuit`] restores circuits.
    pub fn restore_pause(&mut self, known: &HostState, now: Now) {
        self.pause.restore(known.paused, known.closed, now.time);
        self.pauses = Some(Box::new(Pauses::inherited(self.pause.until())));
    }

    /// Opens a circuit that the previous run left open.
    pub fn restore_circuit(&mut self, known: OpenCircuit, settings: &Settings, now: Now) -> Option<CircuitSwitch> {
        self.queue.restore(known, &settings.health, now)
    }

    /// Until when it must stay in the table without lines: another request before then could come too early.
    pub fn pinned_until(&self) -> Duration {
        self.rate_limiter.full_at().max(self.pause.paused_until).max(self.used_up_until())
    }

    /// The end of its quota's window, if that is used up.
    pub fn used_up_until(&self) -> Duration {
        self.quota.as_ref().and_then(|quota| quota.used_up_until()).unwrap_or_default()
    }

    /// Until when it is kept without lines.
    pub fn kept_until(&self, settings: &Settings) -> Duration {
        let pause = self.pause.closed_until.max(self.pause.kept_until(&settings.retry));
        let limit = self.adaptive.as_ref().map_or(Duration::ZERO, |adaptive| adaptive.kept_until());
        let quota = self.quota.as_ref().map_or(Duration::ZERO, |quota| quota.kept_until());
        let token = self.token.as_ref().map_or(Duration::ZERO, |token| token.kept_until());
        pause.max(self.queue.kept_until()).max(limit).max(quota).max(token).max(self.pinned_until())
    }
}

//! What the service manager is told of a run.

use crate::error::Error;
use crate::ops::{ServiceManager, Watched};
use crate::pipeline::{HealthWatch, RunState, Status};
use crate::units::grouped;

/// Speaks to the service manager, if one has started this process, until what is returned is dropped.
pub(super) fn start(status: &Status) -> Result<Option<ServiceManager>, Error> {
    let mut health = HealthWatch::new(status.heartbeats().clone());
    let seen = status.clone();
    let watched = Watched {
        state: status.lifecycle().subscribe(),
        look: Box::new(move || health.look()),
        text: Box::new(move || text(&seen)),
    };
    ServiceManager::start(watched).map_err(|error| Error::Open {
        what: "cannot start the thread for the service manager".to_owned(),
        source: error.into(),
    })
}

fn text(status: &Status) -> String {
    let state = match status.lifecycle().state() {
        RunState::Starting => "Starting",
        RunState::Running => "Running",
        RunState::Draining { .. } => "Draining",
        RunState::Ended => "Ended",
    };
    let counters = status.counters();
    format!("{state}: {} done, {} unfinished.", grouped(counters.recorded.get()), grouped(counters.unfinished()))
}

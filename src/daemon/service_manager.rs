//! Reports the state of a run to the service manager.

use tokio::time::Instant;

use crate::error::Error;
use crate::ops::{ServiceManager, Watched};
use crate::pipeline::{HealthWatch, Status};
use crate::telemetry::{Rate, Sentences, Stats};

/// Starts reports to the service manager, if one has started this process; they end when the result is dropped.
pub(super) fn start(status: &Status, stats: &Stats) -> Result<Option<ServiceManager>, Error> {
    let mut health = HealthWatch::new(status.heartbeats().clone());
    let (status, stats, start, mut rate) = (status.clone(), stats.clone(), Instant::now(), Rate::default());
    let state = status.lifecycle().subscribe();
    let text = move || {
        let rate = rate.update(start.elapsed(), status.counters().recorded.get());
        let Sentences { how_it_is, waits_for, done_when } = Sentences::of(&status, &stats, rate);
        format!("{how_it_is} {waits_for} {done_when}")
    };
    let watched = Watched { state, look: Box::new(move || health.look()), text: Box::new(text) };
    ServiceManager::start(watched).map_err(|error| {
        let what = "cannot start the thread for the service manager".to_owned();
        Error::Open { what, source: error.into() }
    })
}

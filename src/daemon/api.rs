//! Starts the API of a run, with its views and channels.

use std::path::Path;

use super::config_in_force::InForce;
use super::late_orders::LateOrders;
use super::operator::Steered;
use crate::config::Config;
use crate::error::Error;
use crate::ops::{Api, ApiParts, ApiRequests, LateDesk, LiveRecords};
use crate::pipeline::Status;
use crate::sink::Target;
use crate::telemetry::Stats;
use crate::telemetry::metrics::DiskPlace;

/// The API of a run, and its channels to the run.
pub(super) struct StartedApi {
    /// The API; dropped at the end of the run.
    pub _api: Api,
    /// The live records for the API.
    pub live: LiveRecords,
    /// Receives its verbs.
    pub operator: LateOrders,
    /// Receives its questions to the schedule.
    pub desk: LateDesk,
}

impl StartedApi {
    /// Connects the API with the schedule and the operators' thread.
    pub fn begin(&self, steered: &Steered) {
        steered.orders.iter().for_each(|orders| self.operator.begin(orders.clone()));
        steered.desk.iter().for_each(|desk| self.desk.begin(desk.clone()));
    }
}

/// Starts the API, if the configuration has one.
///
/// # Errors
/// The API cannot listen.
pub(super) fn start(
    config: &Config,
    in_force: &InForce,
    status: &Status,
    stats: &Stats,
) -> Result<Option<StartedApi>, Error> {
    if !config.api.is_on() {
        return Ok(None);
    }
    let (live, operator, desk) = (LiveRecords::default(), LateOrders::default(), LateDesk::default());
    let parts = ApiParts {
        status: status.clone(),
        stats: stats.clone(),
        desk: desk.clone(),
        live: live.clone(),
        disks: disks(config).into(),
        config: in_force.subscribe(),
        operator: std::sync::Arc::new(operator.clone()),
        requests: ApiRequests::default(),
    };
    Ok(Some(StartedApi { _api: Api::start(&config.api, parts)?, live, operator, desk }))
}

/// The directories that a run writes to: the data directory, and those of its outputs.
fn disks(config: &Config) -> Vec<DiskPlace> {
    let of_state = config.state.data_dir.iter().map(|dir| DiskPlace { disk: "state".to_owned(), dir: dir.clone() });
    let of_sinks = config.sinks.iter().filter_map(|sink| {
        let Target::File(path) = sink.component.target() else { return None };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(DiskPlace { disk: format!("sink.{}", sink.name.as_deref().unwrap_or(sink.kind)), dir: dir.to_owned() })
    });
    of_state.chain(of_sinks).collect()
}

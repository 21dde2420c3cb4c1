//! Starts the API of a run, with what it shows and whom it asks.

use super::config_in_force::InForce;
use super::operator::LateOrders;
use crate::config::Config;
use crate::error::Error;
use crate::ops::{Api, ApiParts, ApiRequests, LiveRecords};
use crate::pipeline::Status;
use crate::telemetry::Stats;

/// The API of a run, and what connects it with the run.
pub(super) struct StartedApi {
    /// Ends with the run.
    pub _api: Api,
    /// The sink that shows it the records.
    pub live: LiveRecords,
    /// Whom it gives verbs to.
    pub operator: LateOrders,
}

/// Starts the API, if the configuration has one.
///
/// # Errors
/// When it cannot listen.
pub(super) fn start(
    config: &Config,
    in_force: &InForce,
    status: &Status,
    stats: &Stats,
) -> Result<Option<StartedApi>, Error> {
    if !config.api.is_on() {
        return Ok(None);
    }
    let (live, operator) = (LiveRecords::default(), LateOrders::default());
    let parts = ApiParts {
        status: status.clone(),
        stats: stats.clone(),
        live: live.clone(),
        metrics: std::sync::Arc::new(String::new),
        config: in_force.subscribe(),
        operator: std::sync::Arc::new(operator.clone()),
        requests: ApiRequests::default(),
    };
    Ok(Some(StartedApi { _api: Api::start(&config.api, parts)?, live, operator }))
}

//! Starts the API of a run, with what it shows and whom it asks.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::Config;
use crate::error::Error;
use crate::item::to_hex;
use crate::ops::{Api, ApiParts, ApiRequests, ConfigInForce, LiveRecords, Operator, Refusal, Reply, Verb};
use crate::pipeline::Status;
use crate::telemetry::Stats;

/// The API of a run, and the sink that shows it the records.
pub(super) struct StartedApi {
    /// Ends with the run.
    pub _api: Api,
    pub live: LiveRecords,
}

/// Starts the API, if the configuration has one.
///
/// # Errors
/// When it cannot listen.
pub(super) fn start(
    config: &Config,
    file: Option<String>,
    status: &Status,
    stats: &Stats,
) -> Result<Option<StartedApi>, Error> {
    if !config.api.is_on() {
        return Ok(None);
    }
    let live = LiveRecords::default();
    let (_, in_force) = watch::channel(Arc::new(in_force(config, file)));
    let parts = ApiParts {
        status: status.clone(),
        stats: stats.clone(),
        live: live.clone(),
        metrics: Arc::new(String::new),
        config: in_force,
        operator: Arc::new(NoOperator),
        requests: ApiRequests::default(),
    };
    Ok(Some(StartedApi { _api: Api::start(&config.api, parts)?, live }))
}

/// The configuration with its secrets masked.
fn in_force(config: &Config, file: Option<String>) -> ConfigInForce {
    let values = serde_json::to_value(config).unwrap_or_default();
    let digest = to_hex(digest(&SHA256, values.to_string().as_bytes()).as_ref());
    ConfigInForce { digest, file, loaded: Timestamp::now(), last_reload: None, values }
}

/// Refuses all verbs.
struct NoOperator;

impl Operator for NoOperator {
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let message = format!("this release does not know how to {}", verb.name());
        ready(Err(Refusal::Refused(message))).boxed()
    }
}

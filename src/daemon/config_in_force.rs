//! The view of the configuration in force and of reloads, for the API.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::Config;
use crate::item::to_hex;
use crate::ops::{ConfigInForce, LastReload, Refusal, ReloadResult, Reply};
use crate::telemetry::metrics::Reloads;

/// The view of the configuration in force; clones share it.
#[derive(Clone)]
pub(super) struct InForce(Arc<watch::Sender<Arc<ConfigInForce>>>);

impl InForce {
    /// The view at the start of a run; `file` is the configuration file.
    pub fn at_start(config: &Config, file: Option<String>) -> Self {
        let (values, digest) = masked(config);
        let shown = ConfigInForce {
            digest,
            file,
            loaded: Timestamp::now(),
            last_reload: None,
            reloads: Reloads::default(),
            values,
        };
        Self(Arc::new(watch::Sender::new(Arc::new(shown))))
    }

    /// A receiver of the view.
    pub fn subscribe(&self) -> watch::Receiver<Arc<ConfigInForce>> {
        self.0.subscribe()
    }

    /// Notes the result of a reload; `config` is in force since.
    pub fn note_reload(&self, config: &Config, reloaded: &Result<Reply, Refusal>) {
        let at = Timestamp::now();
        let (result, message) = match reloaded {
            Ok(reply) => (ReloadResult::Applied, reply.message.as_str()),
            Err(refusal) => (ReloadResult::Refused, refusal.message()),
        };
        let last_reload = Some(LastReload { at, result, message: message.to_owned() });
        self.0.send_modify(|shown| {
            let reloads = reloads_after(shown.reloads, result, at);
            let before = ConfigInForce { last_reload, reloads, ..ConfigInForce::clone(shown) };
            *shown = Arc::new(match result {
                ReloadResult::Refused => before,
                ReloadResult::Applied => {
                    let (values, digest) = masked(config);
                    ConfigInForce { values, digest, loaded: at, ..before }
                }
            });
        });
    }
}

fn reloads_after(before: Reloads, result: ReloadResult, at: Timestamp) -> Reloads {
    let after = Reloads { last_succeeded: result == ReloadResult::Applied, last_at: Some(at.into()), ..before };
    match result {
        ReloadResult::Applied => Reloads { succeeded: before.succeeded + 1, ..after },
        ReloadResult::Refused => Reloads { refused: before.refused + 1, ..after },
    }
}

/// The values, with `***` for secrets, and their digest.
fn masked(config: &Config) -> (serde_json::Value, String) {
    let values = serde_json::to_value(config).unwrap_or_default();
    let digest = to_hex(digest(&SHA256, values.to_string().as_bytes()).as_ref());
    (values, digest)
}

//! Reloads the configuration during a run: all of it or nothing.
//!
//! In: the file and the flags as they are now. Out: settings and an HTTP client for the schedule. The reply lists the
//! changed keys (`config/reload.rs`); a change of a key that needs a restart refuses the whole reload. Connections are
//! closed only if a change of how hosts are reached requires it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::executor::block_on;
use serde_json::json;
use tokio::sync::mpsc;

use super::certificate_files::CertificateFiles;
use super::config_in_force::InForce;
use super::settings::{http_with_headers, http_with_new_connections, settings, widest_host};
use super::verb_replies::{no_answer, said};
use super::warnings::log_warnings;
use crate::cli::{Loaded, RunArgs};
use crate::config::{self, Changes, Config, Registry};
use crate::fetch::{Fetch, Http, InUse};
use crate::ops::{Refusal, Reloading, Reply};
use crate::pipeline::{Control, Desk, Reconfiguration};
use crate::telemetry::LogLevel;

/// Reloads the configuration.
pub(super) struct Reloader {
    pub args: RunArgs,
    pub registry: Registry,
    /// The workers that the run began with: no limit can exceed them.
    pub workers: u32,
    pub present: Generation,
    /// The connections of the previous generation.
    pub before: Option<InUse>,
    pub log_level: LogLevel,
    /// The view of the configuration.
    pub in_force: InForce,
}

/// A configuration that is, or was, in force.
pub(super) struct Generation {
    pub loaded: Loaded,
    pub certificates: CertificateFiles,
    pub http: Arc<Http>,
}

/// The effects of a reload.
struct Plan {
    changes: Changes,
    /// Keys that changed in the file and are overridden by flags.
    overridden: BTreeSet<String>,
    connections: Connections,
}

/// Whether a reload keeps the connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    Kept,
    /// New connections, because hosts are reached in another way.
    New,
}

impl Reloader {
    /// Reloads the configuration, or returns what a reload would change.
    ///
    /// # Errors
    /// The reason why nothing has changed.
    pub fn reload(
        &mut self,
        reloading: Reloading,
        desk: &Desk,
        controls: &mpsc::Sender<Control>,
    ) -> Result<Reply, Refusal> {
        let reloaded = self.try_reload(reloading, desk, controls);
        if reloading == Reloading::Apply {
            match &reloaded {
                Ok(reply) => tracing::info!(event = "reload", "{}", reply.message),
                Err(refusal) => {
                    tracing::error!(event = "reload_refused", "{}", refusal.message());
                }
            }
            self.in_force.note_reload(&self.present.loaded.config, &reloaded);
        }
        reloaded
    }

    /// Whether a sink of the run writes to a file.
    pub fn writes_files(&self) -> bool {
        self.present.loaded.config.sinks.iter().any(|sink| !sink.component.paths().is_empty())
    }

    fn try_reload(
        &mut self,
        reloading: Reloading,
        desk: &Desk,
        controls: &mpsc::Sender<Control>,
    ) -> Result<Reply, Refusal> {
        // Opening a FIFO would block this thread, and so all other verbs, until it has a writer.
        if let Some(file) = self.args.config.as_deref().filter(|file| file.exists() && !file.is_file()) {
            let shown = file.display();
            return Err(Refusal::Refused(format!(
                "Nothing changed: {shown} is not a regular file, so it cannot be read again."
            )));
        }
        let loaded = self.args.load(&self.registry).map_err(|report| {
            Refusal::Refused(format!("Nothing changed, because the configuration is wrong:\n{report}"))
        })?;
        // Before the clients are built, so that the next reload finds a file that changes meanwhile.
        let certificates = CertificateFiles::read(&loaded.config);
        let plan = self.plan(&loaded, &certificates)?;
        if reloading == Reloading::DryRun || plan.is_empty() {
            return Ok(plan.reply(reloading));
        }
        log_warnings(&loaded.config);
        let http = Arc::new(self.fetcher(&loaded.config, plan.connections)?);
        let settings = settings(&loaded.config);
        let reconfiguration = Reconfiguration {
            schedule: settings.schedule,
            tokens: http.tokens(),
            fetch: Arc::clone(&http) as Arc<dyn Fetch>,
        };
        block_on(desk.reconfigure(reconfiguration)).map_err(no_answer)?;
        // Fails only if the run has ended.
        let _ = controls.blocking_send(Control::SetGrace(settings.grace));
        self.log_level.set(loaded.config.log.level);
        self.take_over(Generation { loaded, certificates, http }, plan.connections);
        Ok(plan.reply(reloading))
    }

    fn plan(&self, loaded: &Loaded, certificates: &CertificateFiles) -> Result<Plan, Refusal> {
        let present = &self.present.loaded;
        let changes = config::changes(&present.written, &loaded.written, self.workers);
        if !changes.restart.is_empty() {
            let keys: Vec<&str> = changes.restart.iter().map(String::as_str).collect();
            return Err(Refusal::Refused(format!("Nothing changed; these need a restart: {}.", keys.join(", "))));
        }
        let in_file = config::changes(&present.file, &loaded.file, self.workers);
        let overridden = in_file.keys().filter(|key| changes.keys().all(|changed| changed != *key)).cloned().collect();
        let is_wider = widest_host(&loaded.config) > widest_host(&present.config);
        let other_way =
            is_wider || *certificates != self.present.certificates || changes.live.iter().any(|key| reaches_hosts(key));
        Ok(Plan { changes, overridden, connections: if other_way { Connections::New } else { Connections::Kept } })
    }

    /// The HTTP client of a configuration.
    fn fetcher(&self, config: &Config, connections: Connections) -> Result<Http, Refusal> {
        let wrong = |error| Refusal::Refused(format!("Nothing changed: {error}."));
        match connections {
            Connections::Kept => http_with_headers(&self.present.http, config).map_err(wrong),
            Connections::New if self.before.as_ref().is_some_and(InUse::holds) => Err(Refusal::Refused(
                "Nothing changed: requests are still under way with the configuration before the present one; try again when they have ended.".to_owned(),
            )),
            Connections::New => http_with_new_connections(&self.present.http, config).map_err(wrong),
        }
    }

    fn take_over(&mut self, new: Generation, connections: Connections) {
        let before = std::mem::replace(&mut self.present, new);
        if connections == Connections::New {
            self.before = Some(before.http.connections_in_use());
        }
    }
}

/// Whether a change of this key requires new connections.
fn reaches_hosts(key: &str) -> bool {
    let of_host = |name: &str| key.starts_with("hosts.") && key.ends_with(&format!(".{name}"));
    key.starts_with("network.")
        || key.starts_with("tls.")
        || key == "fetch.connect_timeout"
        || ["client_cert", "client_key", "insecure"].into_iter().any(of_host)
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.connections == Connections::Kept
    }

    fn reply(&self, reloading: Reloading) -> Reply {
        let list = |keys: &BTreeSet<String>| keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let what = match (self.changes.is_empty(), self.connections) {
            (true, Connections::Kept) => String::new(),
            (true, Connections::New) => "the content of certificate files".to_owned(),
            (false, _) => list(&self.changes.live),
        };
        let mut reply = match reloading {
            _ if what.is_empty() => said("The configuration is the one that is in force; nothing changed."),
            Reloading::Apply => said(format!("The configuration was loaded; changed: {what}.")),
            Reloading::DryRun => said(format!("The configuration is valid; a reload would change: {what}.")),
        };
        if !self.overridden.is_empty() {
            let keys = list(&self.overridden);
            reply.warnings.push(format!("A flag of the command line still overrides: {keys}."));
        }
        let connections = if self.connections == Connections::New { "new" } else { "kept" };
        reply.facts.insert("changed".to_owned(), json!(self.changes.live));
        reply.facts.insert("overridden".to_owned(), json!(self.overridden));
        reply.facts.insert("connections".to_owned(), json!(connections));
        reply
    }
}

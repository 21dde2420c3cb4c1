//! Sinks that ship: opens them with their staging, and refuses a start that would leave unshipped records behind.

use std::path::Path;
use std::sync::Arc;

use url::Url;

use crate::config::Config;
use crate::disk::Disk;
use crate::error::{AtPath, BoxError, Error};
use crate::fetch::{Guard, RemoteEnds};
use crate::ship::{Orphan, orphans};
use crate::sink::{RemoteClients, Shipping};
use crate::state::DataDir;
use crate::units::{Secret, counted};

/// The data directory and clients for sinks that ship.
pub(super) fn shipping(config: &Config, state: &DataDir) -> Shipping {
    let clients = RemoteEnds {
        fetch: config.fetch.clone(),
        tls: config.tls.clone(),
        dns: config.dns.clone(),
        guard: Arc::new(Guard::new(&config.network)),
    };
    let state_id = Arc::clone(&state.checkpoint.state_id);
    Shipping { data_dir: state.dir.clone(), min_free: config.state.min_free.0, state_id, clients: Arc::new(clients) }
}

impl RemoteClients for RemoteEnds {
    fn client(&self, url: &Url, proxy: Option<&Secret<String>>) -> Result<reqwest::Client, BoxError> {
        RemoteEnds::client(self, url, proxy)
    }
}

/// Refuses a start whose data directory has records for a sink that the run does not have: they would wait for ever.
pub(super) fn reject_orphans(config: &Config, disk: &dyn Disk, data_dir: &Path) -> Result<(), Error> {
    let ships = config.sinks.iter().filter(|sink| sink.component.ships());
    let sinks: Vec<&str> = ships.map(|sink| sink.label()).collect();
    let what = || "cannot leave unshipped records behind".to_owned();
    let found = orphans(disk, data_dir, &sinks)
        .map_err(|error| Error::Open { what: what(), source: AtPath::new(data_dir, error).into() })?;
    let Some(Orphan { sink, segments, path }) = found.into_iter().next() else { return Ok(()) };
    let (segments, dir) = (counted(segments, "segment"), data_dir.join("staging"));
    let source = format!(
        "{} is one of {segments} of `{sink}`, and the run has no such sink; configure [sink.{sink}.webhook] again, or, if these records are not needed, delete {}/{sink}-*",
        path.display(),
        dir.display()
    );
    Err(Error::Open { what: what(), source: source.into() })
}

//! Version 1 of the checkpoint, written by fetchd 0.1.0. It is converted to the current version.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{SourceState, VERSION};
use crate::disk::OutputPosition;
use crate::item::{FileGeneration, Fingerprint, Position, StoredRange};
use crate::state::StoredHostState;
use crate::state::host_states::{StoredCircuit, Until};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    #[serde(rename = "version")]
    _version: u32,
    journal: Arc<str>,
    sources: BTreeMap<String, Source>,
    sinks: BTreeMap<String, Vec<OutputPosition>>,
    #[serde(default)]
    hosts: BTreeMap<String, Host>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    kind: String,
    files: BTreeMap<String, Vec<StoredRange<LineEnd>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineEnd {
    seq: u64,
    file: FileGeneration,
    end: u64,
    sum: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    paused: Option<Until>,
    closed: Option<Until>,
    unreachable: Option<StoredCircuit>,
}

impl From<Checkpoint> for super::Checkpoint {
    fn from(Checkpoint { journal, sources, sinks, hosts, .. }: Checkpoint) -> Self {
        let sources = sources.into_iter().map(|(name, source)| (name, source.into())).collect();
        let hosts = hosts.into_iter().map(|(name, host)| (name.clone(), host.of_name(&name))).collect();
        let paths = BTreeMap::new();
        Self { version: VERSION, state_id: journal, sources, sinks, paths, hosts, round: None, last_round: 0 }
    }
}

impl From<Source> for SourceState {
    fn from(Source { kind, files }: Source) -> Self {
        let files = files.into_iter().map(|(path, ranges)| (path, ranges.into())).collect();
        Self { files, ..Self::new(&kind) }
    }
}

impl From<LineEnd> for (u64, Position) {
    fn from(LineEnd { seq, file, end, sum }: LineEnd) -> Self {
        (seq, Position { file: Arc::new(file), end, fingerprint: Fingerprint { prefix_sum: sum } })
    }
}

impl Host {
    /// Converts a host. Its only circuit becomes that of the port in the name, or else of both default ports: a wrong
    /// guess costs one probe.
    fn of_name(self, name: &str) -> StoredHostState {
        let Self { paused: pause, closed, unreachable } = self;
        let named = name.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let ports: &[u16] = named.as_ref().map_or(&[80, 443], std::slice::from_ref);
        let circuits = ports.iter().filter_map(|port| Some((*port, unreachable.clone()?))).collect();
        StoredHostState { pause, closed, circuits, ..StoredHostState::default() }
    }
}

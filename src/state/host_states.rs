//! The host states in the checkpoint. They contain wall-clock times because no other clock outlasts a run.
//!
//! The schedule passes and gets durations from now. If the wall clock jumps back, no duration exceeds the one that was
//! stored.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::item::{ErrorKind, RawJson};
use crate::schedule::{HostState, OpenCircuit};
use crate::units::Span;

/// The longest duration stored: a Retry-After can exceed the range of timestamps.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The stored entries of a host by name.
type Entries = BTreeMap<String, RawJson>;

/// The stored state of a host that is paused or has open circuits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Entries")]
pub struct StoredHostState {
    /// The end of the host pause.
    pub(super) pause: Option<Until>,
    /// The end of a Retry-After longer than `retry.max_retry_after`.
    pub(super) closed: Option<Until>,
    /// The open circuits by port.
    pub(super) circuits: BTreeMap<u16, StoredCircuit>,
    /// Entries of later versions, which are kept unchanged.
    pub(super) unknown: Entries,
}

impl TryFrom<Entries> for StoredHostState {
    type Error = String;

    fn try_from(mut unknown: Entries) -> Result<Self, String> {
        let (pause, closed) = (take(&mut unknown, "pause")?, take(&mut unknown, "closed")?);
        let circuits = take(&mut unknown, "circuits")?.unwrap_or_default();
        Ok(Self { pause, closed, circuits, unknown })
    }
}

fn take<T: DeserializeOwned>(entries: &mut Entries, name: &str) -> Result<Option<T>, String> {
    let entry = entries.remove(name).map(|entry| entry.read());
    entry.transpose().map_err(|error| format!("the entry `{name}` of a host: {error}"))
}

impl Serialize for StoredHostState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(None)?;
        for (name, until) in [("pause", &self.pause), ("closed", &self.closed)] {
            until.iter().try_for_each(|until| entries.serialize_entry(name, until))?;
        }
        if !self.circuits.is_empty() {
            entries.serialize_entry("circuits", &self.circuits)?;
        }
        self.unknown.iter().try_for_each(|(name, entry)| entries.serialize_entry(name, entry))?;
        entries.end()
    }
}

/// A future time, and the duration until then when it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Until {
    time: Timestamp,
    left: Span,
}

/// A stored [`OpenCircuit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredCircuit {
    tried: Span,
    probe: Option<Until>,
    remembered: Until,
    kind: String,
    message: String,
}

impl Until {
    fn write(left: Duration, now: Timestamp) -> Option<Self> {
        let left = left.min(LONGEST);
        let time = now.checked_add(SignedDuration::try_from(left).ok()?).unwrap_or(Timestamp::MAX);
        (!left.is_zero()).then_some(Self { time, left: Span(left) })
    }

    /// The remaining duration.
    fn read(self, now: Timestamp) -> Duration {
        let left = Duration::try_from(self.time.duration_since(now)).unwrap_or_default();
        left.min(self.left.0).min(LONGEST)
    }
}

impl StoredCircuit {
    fn write(known: &OpenCircuit, now: Timestamp) -> Option<Self> {
        Some(Self {
            tried: Span(known.tried.min(LONGEST)),
            probe: Until::write(known.probe, now),
            remembered: Until::write(known.remembered, now)?,
            kind: known.last_error.0.name().to_owned(),
            message: known.last_error.1.clone(),
        })
    }

    fn read(&self, port: u16, now: Timestamp) -> Option<OpenCircuit> {
        let remembered = self.remembered.read(now);
        let kind = ErrorKind::named(&self.kind).filter(|_| !remembered.is_zero())?;
        let probe = left(self.probe, now);
        Some(OpenCircuit { port, tried: self.tried.0, probe, remembered, last_error: (kind, self.message.clone()) })
    }
}

fn left(until: Option<Until>, now: Timestamp) -> Duration {
    until.map(|until| until.read(now)).unwrap_or_default()
}

/// Converts host states for a checkpoint written at `now`.
pub fn to_stored(host_states: &[HostState], now: Timestamp) -> BTreeMap<String, StoredHostState> {
    let circuit = |known: &OpenCircuit| Some((known.port, StoredCircuit::write(known, now)?));
    let state = |known: &HostState| StoredHostState {
        pause: Until::write(known.paused, now),
        closed: Until::write(known.closed, now),
        circuits: known.unreachable.iter().filter_map(circuit).collect(),
        unknown: Entries::new(),
    };
    host_states.iter().map(|known| (known.host.to_string(), state(known))).collect()
}

/// The host states of a checkpoint that still hold at `now`.
pub fn from_stored(hosts: &BTreeMap<String, StoredHostState>, now: Timestamp) -> Vec<HostState> {
    let host_state = |(name, host): (&String, &StoredHostState)| HostState {
        host: name.as_str().into(),
        paused: left(host.pause, now),
        closed: left(host.closed, now),
        unreachable: host.circuits.iter().filter_map(|(port, circuit)| circuit.read(*port, now)).collect(),
    };
    let is_over = |known: &HostState| known.paused.is_zero() && known.closed.is_zero() && known.unreachable.is_empty();
    hosts.iter().map(host_state).filter(|known| !is_over(known)).collect()
}

/// Keeps stored entries of later versions.
pub(super) fn keep_unknown(hosts: &mut BTreeMap<String, StoredHostState>, before: BTreeMap<String, StoredHostState>) {
    for (name, host) in before.into_iter().filter(|(_, host)| !host.unknown.is_empty()) {
        hosts.entry(name).or_default().unknown = host.unknown;
    }
}

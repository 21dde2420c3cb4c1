//! The meters of a run: counts and views of its parts, for metrics and the API.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::RequestCounts;
use crate::fetch::LookUpCounts;
use crate::item::BodyMemory;
use crate::schedule::Core;
use crate::sink::SinkMeter;
use crate::source::SourceMeter;
use crate::state::CommitClock;

/// The meters of a run.
#[derive(Debug, Default)]
pub struct Meters {
    /// The requests of a watched run.
    requests: Option<Arc<RequestCounts>>,
    parts: OnceLock<MeteredParts>,
    /// The limit of concurrent requests at the start of the run.
    first_limit: AtomicU32,
}

/// The meters of the parts of a run.
#[derive(Debug)]
pub(super) struct MeteredParts {
    pub sources: Vec<Arc<SourceMeter>>,
    pub sinks: Vec<Arc<SinkMeter>>,
    pub memory: BodyMemory,
    pub look_ups: Option<Arc<LookUpCounts>>,
    pub commits: Option<Arc<CommitClock>>,
}

/// The use of `limits.body_memory`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Bytes in use.
    pub in_use: u64,
    /// The limit, in bytes.
    pub limit: u64,
}

impl Meters {
    /// The meters of a watched run.
    pub(super) fn watched() -> Self {
        Self { requests: Some(Arc::default()), ..Self::default() }
    }

    /// The requests of the run, if it is watched.
    pub fn requests(&self) -> Option<&Arc<RequestCounts>> {
        self.requests.as_ref()
    }

    /// Sets the meters of the parts at the start of the run.
    pub(super) fn begin(&self, parts: MeteredParts) {
        let _ = self.parts.set(parts);
    }

    /// Notes the limit at the start of the schedule, whose first view comes later.
    pub(super) fn begin_schedule(&self, core: &Core) {
        self.first_limit.store(core.totals(Duration::ZERO).concurrency_limit, Ordering::Relaxed);
    }

    /// The limit of concurrent requests at the start of the run; 0 before.
    pub fn first_limit(&self) -> u32 {
        self.first_limit.load(Ordering::Relaxed)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Arc<SourceMeter>> {
        self.parts.get().into_iter().flat_map(|parts| &parts.sources)
    }

    pub(super) fn sinks(&self) -> impl Iterator<Item = &Arc<SinkMeter>> {
        self.parts.get().into_iter().flat_map(|parts| &parts.sinks)
    }

    /// The use of body memory; zero before the run has begun.
    pub fn body_memory(&self) -> MemoryUse {
        let memory = self.parts.get().map(|parts| &parts.memory);
        memory.map_or_else(MemoryUse::default, |memory| MemoryUse { in_use: memory.in_use(), limit: memory.total() })
    }

    /// The DNS look-ups of the run, once it has begun, if its client makes any.
    pub fn look_ups(&self) -> Option<&LookUpCounts> {
        self.parts.get()?.look_ups.as_deref()
    }

    /// Time since the last write of the checkpoint, or since the start of the run; `None` without a data directory.
    pub fn checkpoint_age(&self) -> Option<Duration> {
        Some(self.parts.get()?.commits.as_ref()?.age())
    }
}

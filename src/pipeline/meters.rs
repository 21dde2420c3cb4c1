//! The meters of a run: what its parts count, and show of themselves, for metrics and for those who look at it from outside.

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

/// See the module.
#[derive(Debug, Default)]
pub struct Meters {
    /// The requests of the run, if anybody can read their counts.
    requests: Option<Arc<RequestCounts>>,
    parts: OnceLock<MeteredParts>,
    /// Requests at once that the run may have at its start.
    first_limit: AtomicU32,
}

/// What the parts of a run show.
#[derive(Debug)]
pub(super) struct MeteredParts {
    pub sources: Vec<Arc<SourceMeter>>,
    pub sinks: Vec<Arc<SinkMeter>>,
    pub memory: BodyMemory,
    pub look_ups: Option<Arc<LookUpCounts>>,
    pub commits: Option<Arc<CommitClock>>,
}

/// How much of `limits.body_memory` is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Bytes in use.
    pub in_use: u64,
    /// The limit, in bytes.
    pub limit: u64,
}

impl Meters {
    /// Those of a run whose metrics somebody reads.
    pub(super) fn watched() -> Self {
        Self { requests: Some(Arc::default()), ..Self::default() }
    }

    /// The requests of the run, if anybody can read their counts.
    pub fn requests(&self) -> Option<&Arc<RequestCounts>> {
        self.requests.as_ref()
    }

    /// The run has begun with these.
    pub(super) fn begin(&self, parts: MeteredParts) {
        let _ = self.parts.set(parts);
    }

    /// The schedule begins like this; its first view comes a moment later.
    pub(super) fn begin_schedule(&self, core: &Core) {
        self.first_limit.store(core.totals(Duration::ZERO).concurrency_limit, Ordering::Relaxed);
    }

    /// Requests at once that the run may have at its start; 0 before.
    pub fn first_limit(&self) -> u32 {
        self.first_limit.load(Ordering::Relaxed)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Arc<SourceMeter>> {
        self.parts.get().into_iter().flat_map(|parts| &parts.sources)
    }

    pub(super) fn sinks(&self) -> impl Iterator<Item = &Arc<SinkMeter>> {
        self.parts.get().into_iter().flat_map(|parts| &parts.sinks)
    }

    /// Memory for bodies; nothing before the run has begun.
    pub fn body_memory(&self) -> MemoryUse {
        let memory = self.parts.get().map(|parts| &parts.memory);
        memory.map_or_else(MemoryUse::default, |memory| MemoryUse { in_use: memory.in_use(), limit: memory.total() })
    }

    /// The look-ups of the run, once it has begun, if its attempts make any.
    pub fn look_ups(&self) -> Option<&LookUpCounts> {
        self.parts.get()?.look_ups.as_deref()
    }

    /// How long ago the checkpoint was written last, or the run began; nothing without a data directory.
    pub fn checkpoint_age(&self) -> Option<Duration> {
        Some(self.parts.get()?.commits.as_ref()?.age())
    }
}

//! What holds the run back now: a limit of the pipeline's own, or else what the core names.
//!
//! The window is named while it is full of lines that hosts hold back, and others have come since: with more room, more
//! hosts would be under way at once.

use std::time::Duration;

use super::Order;
use super::memory_gate::MemoryGate;
use crate::item::{Window, WindowLimit};
use crate::schedule::{Bottleneck, BottleneckKind, Core};

/// The limits that the core is not given.
pub(super) struct RunLimits {
    pub window: Window,
    /// The key that sets how many requests there may be at once.
    pub permits: BottleneckKind,
    /// The order of records.
    pub order: Order,
    /// Whether lines can still come.
    pub input_open: bool,
    /// How many hosts had come when the window was last seen to get full; `None` while it is not.
    pub hosts_when_full: Option<u64>,
}

impl RunLimits {
    /// What holds the run back now.
    pub fn bottleneck(&mut self, core: &Core, memory: &MemoryGate, now: Duration) -> Bottleneck {
        let window = self.full_window(core);
        if core.has_settled() {
            return BottleneckKind::Sink.into();
        }
        if memory.is_waiting() {
            return BottleneckKind::BodyMemory.into();
        }
        let bottleneck = core.bottleneck(now);
        match bottleneck.kind {
            // When no more lines can come, what is left waits for its servers.
            BottleneckKind::Input if !self.input_open => BottleneckKind::Servers.into(),
            BottleneckKind::Concurrency => self.permits.into(),
            _ if bottleneck.host.is_some() => window.unwrap_or(bottleneck),
            _ => bottleneck,
        }
    }

    /// Whether no further line can come in before one of those that wait is done.
    pub fn is_blocked(&self, core: &Core, accepted: u64, now: Duration) -> bool {
        if !self.input_open {
            return true;
        }
        // In the order of the input, records behind the oldest line wait for it.
        let held = match (self.order, core.oldest(now)) {
            (Order::Input, Some(oldest)) => usize::try_from(accepted - oldest.ordinal).unwrap_or(usize::MAX),
            _ => core.counts().waiting,
        };
        self.window.full() == Some(held)
    }

    /// The window, if it has been full since before the last host came.
    fn full_window(&mut self, core: &Core) -> Option<Bottleneck> {
        let kind = match self.window.reached().filter(|_| self.input_open) {
            Some(WindowLimit::Lines) => BottleneckKind::Window,
            Some(WindowLimit::Bytes) => BottleneckKind::WindowBytes,
            None => {
                self.hosts_when_full = None;
                return None;
            }
        };
        let when_full = *self.hosts_when_full.get_or_insert(core.hosts_so_far());
        let (lines, hosts) = (self.window.in_use(), core.hosts_by_waiting().count());
        (core.hosts_so_far() > when_full).then(|| Bottleneck {
            limit: u32::try_from(lines).ok(),
            hosts: u32::try_from(hosts).ok(),
            ..kind.into()
        })
    }
}

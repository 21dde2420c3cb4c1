//! The bottleneck of the run, which is a limit of the pipeline or else that of the core, and the estimated end.
//!
//! The window is the bottleneck while it is full and the input is grouped by host: with a larger window, more hosts
//! would be fetched at once.

use std::time::Duration;

use super::input_ahead::{InputAhead, Pace};
use super::memory_gate::MemoryGate;
use super::{Order, RunState, Status};
use crate::item::{Window, WindowLimit};
use crate::schedule::{Bottleneck, BottleneckKind, Core, Eta, InputEnd, LimitBy, StallReason, WaitingWork};

/// The limits outside the core.
pub(super) struct RunLimits {
    pub window: Window,
    /// The kind of the key that limits concurrent requests.
    pub permits: BottleneckKind,
    /// The order of records.
    pub order: Order,
    /// Whether lines can still come.
    pub input_open: bool,
    pub ahead: InputAhead,
    /// The last bottleneck; `None` until the window has been full once.
    pub last: Option<BottleneckKind>,
    pub status: Status,
}

/// The bottleneck, the estimated end and the window of the run.
#[derive(Debug)]
pub(super) struct Outlook {
    pub bottleneck: Bottleneck,
    /// The estimated end; `None` while the input has no end.
    pub eta: Option<Eta>,
    /// Whether the input has an end.
    pub input: InputEnd,
    /// The time that the waiting lines take.
    pub waiting_work: Option<WaitingWork>,
    /// Lines in the window, and its capacity.
    pub in_window: usize,
    pub window: usize,
}

/// When to check again whether only lines of closed hosts are left, besides at events of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookAgain {
    Never,
    /// When the window is full.
    WhenFull,
    At(Duration),
}

impl LookAgain {
    pub fn at(self) -> Option<Duration> {
        if let Self::At(at) = self { Some(at) } else { None }
    }
}

impl RunLimits {
    /// The outlook as of now.
    pub fn look(&mut self, core: &mut Core, memory: &MemoryGate, now: Duration) -> Outlook {
        let ahead = self.ahead.look(&self.status, self.pace(), self.held_up(), now);
        core.expect(ahead.unwrap_or_default());
        let bottleneck = self.bottleneck(core, memory, now);
        if self.last.is_some() || self.window.reached().is_some() {
            self.last = Some(bottleneck.kind);
        }
        let (in_window, window) = (self.window.in_use(), self.window.lines());
        let input = if ahead.is_some() { InputEnd::Known } else { InputEnd::Unknown };
        let (eta, waiting_work) = (ahead.and_then(|_| core.eta(now)), core.waiting_work(now));
        Outlook { bottleneck, eta, input, waiting_work, in_window, window }
    }

    /// Notes that no more lines can come.
    pub fn end_input(&mut self) {
        self.input_open = false;
        self.ahead.end();
    }

    fn bottleneck(&self, core: &Core, memory: &MemoryGate, now: Duration) -> Bottleneck {
        if core.stalled_by().any(|reason| reason == StallReason::Output) {
            return BottleneckKind::Sink.into();
        }
        if core.is_run_paused() {
            return BottleneckKind::Paused.into();
        }
        if memory.is_waiting() {
            return BottleneckKind::BodyMemory.into();
        }
        if self.is_full_of_records(core) && self.is_output_blocked() {
            return BottleneckKind::Sink.into();
        }
        if let Some(paused) = self.full_of_paused(core, now) {
            return paused;
        }
        let bottleneck = core.bottleneck(now);
        match bottleneck.kind {
            // Every line is done, and the records wait.
            BottleneckKind::Input if self.is_output_blocked() => BottleneckKind::Sink.into(),
            // Once the input has ended, the remaining lines wait for their servers.
            BottleneckKind::Input if self.has_ended() => BottleneckKind::Servers.into(),
            BottleneckKind::Concurrency if bottleneck.set_by == LimitBy::Configuration => self.permits.into(),
            _ if bottleneck.host.is_some() => self.full_window(core).unwrap_or(bottleneck),
            _ => bottleneck,
        }
    }

    fn has_ended(&self) -> bool {
        !self.input_open || matches!(self.status.lifecycle().state(), RunState::Draining { .. })
    }

    /// Whether records have been waiting for a sink.
    fn is_output_blocked(&self) -> bool {
        const A_WHILE: Duration = Duration::from_millis(500);
        self.status.sinks().iter().any(|sink| sink.blocked_for.is_some_and(|time| time >= A_WHILE))
    }

    /// Whether records that wait for sinks are half of a full window or more.
    fn is_full_of_records(&self, core: &Core) -> bool {
        let (counts, lines) = (core.counts(), self.window.in_use());
        self.window.reached().is_some() && 2 * (counts.waiting + counts.in_flight) <= lines
    }

    /// A paused host whose lines, or the records that wait behind them, fill the window and so block the input.
    fn full_of_paused(&self, core: &Core, now: Duration) -> Option<Bottleneck> {
        self.window.reached().filter(|_| self.input_open)?;
        let paused = core.paused_lines()?;
        let oldest = core.oldest(now).and_then(|oldest| oldest.host);
        let holds_order = oldest.is_some_and(|host| self.order == Order::Input && core.is_host_paused(&host.name));
        let fills = 2 * paused.all > self.window.in_use();
        let limit = u32::try_from(paused.lines).ok();
        (fills || holds_order).then(|| Bottleneck { host: Some(paused.host), limit, ..BottleneckKind::Paused.into() })
    }

    /// The window, if it is full and the input is grouped by host.
    fn full_window(&self, core: &Core) -> Option<Bottleneck> {
        let kind = match self.window.reached().filter(|_| self.input_open && core.is_input_grouped())? {
            WindowLimit::Lines => BottleneckKind::Window,
            WindowLimit::Bytes => BottleneckKind::WindowBytes,
        };
        let (lines, hosts) = (self.window.in_use(), core.waiting_hosts());
        let (limit, hosts) = (u32::try_from(lines).ok(), u32::try_from(hosts).ok());
        Some(Bottleneck { limit, hosts, ..kind.into() })
    }

    /// Whether the lines accepted since the last look count for the pace of the run.
    fn pace(&self) -> Pace {
        match self.last {
            None
            | Some(
                BottleneckKind::HostPause
                | BottleneckKind::Paused
                | BottleneckKind::Quota
                | BottleneckKind::Token
                | BottleneckKind::CircuitOpen
                | BottleneckKind::Robots
                | BottleneckKind::RobotsUnavailable
                | BottleneckKind::Backoff,
            ) => Pace::Other,
            Some(_) => Pace::OfRun,
        }
    }

    /// Accepted lines that wait for the same bottleneck as the input.
    fn held_up(&self) -> usize {
        match self.last {
            Some(BottleneckKind::Sink | BottleneckKind::BodyMemory) => self.window.in_use(),
            _ => 0,
        }
    }
}

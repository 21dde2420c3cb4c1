//! The pure core of the schedule: a state machine over jobs, hosts and time, without tasks, channels or clocks.
//!
//! In: jobs ([`Core::push`]) and their results ([`Core::complete`]). Out: the job that may start now ([`Core::take`])
//! and settled lines ([`Core::take_settled`]). Time is a `Duration` since the start of the run, always given by the
//! caller; [`Core::next_wakeup`] says when to call again. The task that drives it is `pipeline::scheduler`.
//!
//! Hosts with a line that may start now are in a ring and take turns, so between two turns of a ready host no other
//! gets more than one. Hosts that must wait have one timer each.

mod adaptive;
mod backlog;
mod bottleneck;
mod causes;
mod changes;
mod circuit_breaker;
mod circuit_changes;
mod completion;
mod config;
mod connection_budget;
mod decide;
mod dispatch;
mod eta;
mod health;
mod held_answer;
mod host_clock;
mod host_key;
mod host_orders;
mod host_pause;
mod host_report;
mod host_state;
mod host_table;
mod input_order;
mod inspection;
mod job;
mod line_book;
mod line_cost;
mod line_report;
mod long_pause;
mod operator;
mod overrides;
mod pace;
mod pauses;
mod quota;
mod rate_limiter;
mod reconfigure;
mod redirects;
mod release;
mod reports;
mod retry_budget;
mod retry_policy;
mod robots;
mod skips;
mod stall_clock;
mod stop;
mod token;
mod token_decision;
mod token_files;
mod token_lines;
mod token_rules;
mod token_waits;
mod totals;
mod tracking;
mod views;
mod wait_reason;
mod waited;

use std::time::Duration;

pub use bottleneck::{Bottleneck, BottleneckKind};
pub use changes::MOST_CHANGES;
pub use circuit_breaker::CircuitSwitch;
pub use circuit_changes::CircuitChange;
pub use config::{HostConfig, HostLimits, HostRule, LimitsConfig, Settings};
pub use dispatch::{BodyMemoryRoom, Need};
pub use eta::{Ahead, InputEnd};
pub use health::{HealthConfig, HealthPolicy};
pub use host_state::{HostState, OpenCircuit};
pub use inspection::{HostScan, LineScan, Scanned};
pub use job::{Job, Progress};
pub use line_book::Counts;
pub use line_report::{LineAnswer, LineKey};
pub use long_pause::{ClosedHost, Opening};
pub use overrides::{
    Change, ConcurrencyOverride, HostOverrides, LimitsOverride, MOST_HOSTS, Overrides, PauseOverride, RateOverride,
    Refusal, Scope, SkipOverride,
};
pub use pace::{Eta, HostPace, WaitingWork};
pub use quota::{LongPause, QuotaPolicy};
pub use rate_limiter::SLACK;
pub use release::ReleaseScope;
pub use reports::{
    Cause, ConfiguredLimit, HeldLines, HostCounts, HostReport, HostStatus, HostWhy, HostsBy, HostsQuery, LastError,
    LimitBy, LimitsInForce, NameFilter, Remedy,
};
pub use retry_budget::RetryBudgetPolicy;
pub use retry_policy::{RetryConfig, RetryPolicy};
pub use robots::{KnownRobots, KnownRules, RobotsChange, RobotsConfig, RobotsPolicy, RobotsSwitch};
pub use stall_clock::StallReason;
pub use token_rules::{TokenRule, TokenSettings};
pub use token_waits::{TokenWait, TokenWaitState};
pub use totals::{RetryDenial, Totals};
pub use views::{HostView, OldestLine, Tail};
pub use wait_reason::WaitReason;

use crate::item::{Done, Received};
use adaptive::AdaptiveLimit;
use changes::Changes;
use connection_budget::ConnectionBudget;
use decide::canceled;
use host_clock::DeadlineWalk;
use host_table::{Capacity, HostTable};
use input_order::InputHosts;
use line_book::LineBook;
use line_cost::LineCost;
use operator::Operator;
use rate_limiter::RateLimiter;
use reconfigure::Configurations;
use retry_budget::RetryBudget;
use robots::RobotsRules;
use stall_clock::StallClock;
use stop::Phase;
use token_files::TokenFiles;
use tracking::LastRun;
use waited::WaitHistory;

/// The state of the schedule.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    hosts: HostTable,
    lines: LineBook,
    clock: StallClock,
    /// The times in which no line could start.
    stalls: WaitHistory,
    rate_limiter: RateLimiter,
    retries: RetryBudget,
    /// The limit of the whole run, if it is adaptive.
    adaptive: Option<AdaptiveLimit>,
    /// The limit of the whole run, if it differs from the permits.
    at_most: Option<u32>,
    /// The configurations so far.
    configurations: Configurations,
    /// The changes of operators.
    operator: Operator,
    /// Deadlines that have to follow the clocks of their hosts.
    deadline_walk: DeadlineWalk,
    connections: ConnectionBudget,
    /// Whether lines wait for memory.
    body_memory: BodyMemoryRoom,
    /// Circuits that have opened or closed.
    circuit_changes: Changes<CircuitChange>,
    /// The rules of sites, if robots.txt is obeyed.
    robots: Option<RobotsRules>,
    /// The generations of token files.
    tokens: TokenFiles,
    /// The previous run, if there was one.
    last_run: Option<LastRun>,
    chance: fastrand::Rng,
    /// The hosts of the lines so far.
    input: InputHosts,
    /// The lines that are not read yet.
    ahead: Ahead,
    /// The average cost of a line.
    cost: LineCost,
    /// Seconds on the wire that the lines of all reachable hosts take.
    work: f64,
    /// Which lines get no further request.
    phase: Phase,
    /// Until when this machine counts as out of open files or ports.
    starved_until: Duration,
    totals: Totals,
}

impl Core {
    /// An empty schedule.
    pub fn new(settings: Settings) -> Self {
        Self {
            hosts: HostTable::new(settings.max_hosts),
            lines: LineBook::default(),
            clock: StallClock::default(),
            stalls: WaitHistory::new(Duration::ZERO),
            rate_limiter: RateLimiter::new(settings.every),
            retries: RetryBudget::default(),
            adaptive: settings.adaptive.map(AdaptiveLimit::new),
            at_most: None,
            configurations: Configurations::default(),
            operator: Operator::default(),
            deadline_walk: DeadlineWalk::default(),
            connections: ConnectionBudget::new(settings.idle_connections),
            body_memory: BodyMemoryRoom::default(),
            circuit_changes: Changes::default(),
            robots: settings.robots.clone().map(RobotsRules::new),
            tokens: TokenFiles::new(settings.tokens.files.len()),
            last_run: None,
            chance: fastrand::Rng::with_seed(settings.seed),
            input: InputHosts::ending_with(settings.last_host().as_deref()),
            ahead: Ahead::default(),
            cost: LineCost::of_run(),
            work: 0.0,
            phase: Phase::default(),
            starved_until: Duration::ZERO,
            totals: Totals::default(),
            settings,
        }
    }

    /// Adds a line to be fetched. Lines come in the order of their ordinals.
    pub fn push(&mut self, mut job: Box<Job>, now: Duration) {
        job.slot.line = self.lines.add(&job.ticket, job.progress.accepted);
        if self.is_stopped(job.ticket.source) || self.is_stopping_paused() {
            return self.settle(job, Received::Nothing, Some(canceled()), now);
        }
        self.track(job, Capacity::Bounded, now);
    }

    /// Adds a line that is settled already: the feed rejected it.
    pub fn push_settled(&mut self, done: Done) {
        self.lines.add_settled(done);
    }

    /// A settled line.
    pub fn take_settled(&mut self) -> Option<Done> {
        self.lines.take_settled()
    }

    /// The earliest time after `now` at which the state changes by itself. Call it after `take` returned nothing, or
    /// permits ran out, at the same `now`. Lines that lack only a permit set no timer: a completion wakes the caller.
    pub fn next_wakeup(&mut self, now: Duration) -> Option<Duration> {
        self.advance(now);
        if self.is_run_paused() {
            // No line can start before then.
            return self.next_override_end();
        }
        // Ready hosts wait for the run's rate by time, and for all else by a completion.
        let paced = self.next_host(now).map(|_| self.rate_limiter.next()).filter(|at| *at > now);
        let lines_time = self.clock.read(now).lines;
        let deadline = self.lines.first_deadline().filter(|_| !self.clock.is_stalled());
        let deadline = deadline.map(|(end, _)| now + end.saturating_sub(lines_time));
        [self.hosts.next_wakeup(), deadline, paced, self.next_override_end()].into_iter().flatten().min()
    }

    /// Lets no line start for this reason until [`Self::resume`]; the time does not count against lines. Idempotent.
    pub fn stall(&mut self, reason: StallReason, now: Duration) {
        self.clock.stall(reason, now);
        self.stalls.note(WaitReason::Stalled(reason).waited_for(), now);
    }

    /// Ends this reason.
    pub fn resume(&mut self, reason: StallReason, now: Duration) {
        self.clock.resume(reason, now);
        self.stalls.note(self.clock.reasons().next().and_then(|reason| WaitReason::Stalled(reason).waited_for()), now);
    }

    /// The reasons for which no line may start.
    pub fn stalled_by(&self) -> impl Iterator<Item = StallReason> {
        self.clock.reasons()
    }

    /// The number of lines in each place. With those handed out or left, they are all lines added: none is lost.
    pub fn counts(&self) -> Counts {
        self.lines.counts()
    }

    /// Whether settled lines wait to be handed out.
    pub fn has_settled(&self) -> bool {
        self.lines.has_settled()
    }

    /// Hosts with waiting lines.
    pub fn waiting_hosts(&self) -> usize {
        self.hosts.by_waiting().count()
    }

    /// Hosts in the table.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }
}

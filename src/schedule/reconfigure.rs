//! Reload of the configuration during the run. Each host has the number of its configuration, and is updated before one
//! of its lines starts: hosts in the table a few a turn, or when their turn or their next line comes.

use std::time::Duration;

use super::Core;
use super::config::Settings;
use super::host_clock::Holds;
use super::host_key::name_and_port;
use super::line_book::HostId;
use super::robots::RobotsPolicy;
use super::stall_clock::StallReason;
use super::token::HostToken;
use super::token_decision::Change;

/// The most hosts that are updated in one turn.
const A_TURN: usize = 256;

/// The most previous settings that are kept.
const MOST_BEFORE: usize = 8;

/// The succession of settings of the run.
#[derive(Debug, Default)]
pub(super) struct Configurations {
    /// The number of the current ones.
    pub number: u32,
    /// The next place in the table to update; `None` once all are updated.
    behind: Option<HostId>,
    /// The number of the first ones with the current token files.
    files_since: u32,
    /// The last ones before, and when they ended: they may have applied to a host that is not in the table.
    before: Vec<(Duration, Settings)>,
}

impl Core {
    /// Replaces the settings, except those fixed at the start: sources, order, sizes of tables, whether robots.txt is
    /// obeyed, and the seed. Requests at once stay between one and the workers.
    pub fn reconfigure(&mut self, settings: Settings, now: Duration) {
        let old = &self.settings;
        let robots = old.robots.clone().map(|old| RobotsPolicy {
            max_crawl_delay: settings.robots.as_ref().map_or(old.max_crawl_delay, |new| new.max_crawl_delay),
            ..old
        });
        let new = Settings {
            permits: settings.permits.clamp(1, old.workers.max(1)),
            adaptive: settings.adaptive.map(|most| most.clamp(1, old.workers.max(1))),
            workers: old.workers,
            last_line: old.last_line.clone(),
            max_hosts: old.max_hosts,
            idle_connections: old.idle_connections,
            durable: old.durable.clone(),
            in_order: old.in_order,
            seed: old.seed,
            robots,
            ..settings
        };
        if let (Some(rules), Some(policy)) = (&mut self.robots, &new.robots) {
            rules.set_max_crawl_delay(policy.max_crawl_delay);
        }
        self.tokens.follow(&self.settings.tokens, &new.tokens);
        let old = std::mem::replace(&mut self.settings, new);
        let configurations = &mut self.configurations;
        configurations.number += 1;
        configurations.behind = Some(0);
        if old.tokens.files != self.settings.tokens.files {
            configurations.files_since = configurations.number;
        }
        if configurations.before.len() == MOST_BEFORE {
            configurations.before.remove(0);
        }
        configurations.before.push((now, old));
        self.limit_run();
    }

    /// Requests at once that the run has workers for.
    pub fn workers(&self) -> u32 {
        self.settings.workers
    }

    /// Whether there is work that takes more than one turn.
    pub fn has_work(&self) -> bool {
        self.configurations.behind.is_some() || !self.operator.skips.is_empty() || self.deadline_walk.is_under_way()
    }

    /// Does a part of it, of one kind in each turn; returns the number of hosts or lines visited.
    pub fn work(&mut self, now: Duration) -> usize {
        if self.deadline_walk.is_under_way() {
            return self.watch_some_deadlines(now);
        }
        if !self.operator.skips.is_empty() { self.skip_some(now) } else { self.catch_up_some(now) }
    }

    fn catch_up_some(&mut self, now: Duration) -> usize {
        let Some(from) = self.configurations.behind else { return 0 };
        let to = self.hosts.places().min(from + A_TURN);
        for id in from..to {
            if self.hosts.get(id).is_some() {
                self.catch_up(id, now);
                self.refresh(id, now);
            }
        }
        self.configurations.behind = (to < self.hosts.places()).then_some(to);
        to - from
    }

    /// Updates a host to the configuration. It has to be reindexed.
    #[inline(always)]
    pub(super) fn catch_up(&mut self, id: HostId, now: Duration) {
        // This runs several times per line, and nearly always no host is behind.
        if self.configurations.behind.is_some() && self.hosts[id].configuration != self.configurations.number {
            self.follow_configuration(id, now);
        }
    }

    #[cold]
    fn follow_configuration(&mut self, id: HostId, now: Duration) {
        let host = &mut self.hosts[id];
        let was = std::mem::replace(&mut host.configuration, self.configurations.number);
        if self.settings.health.failures == 0 {
            self.close_circuits(id, now);
        }
        self.limit_host(id);
        self.follow_crawl_delay(id, now);
        self.change_token(id, was, now);
    }

    fn close_circuits(&mut self, id: HostId, now: Duration) {
        let clocks = self.clocks(id, now);
        let host = &mut self.hosts[id];
        for port in host.queue.known_ports() {
            self.circuit_changes.note_switch(&host.name, port, host.queue.close_circuit(port, clocks));
        }
    }

    /// Applies a change of the longest Crawl-delay.
    fn follow_crawl_delay(&mut self, id: HostId, now: Duration) {
        let Some(policy) = &self.settings.robots else { return };
        let host = &mut self.hosts[id];
        host.rate_limiter.cap_crawl_delay(policy.max_crawl_delay);
        let delay =
            host.front(now).zip(self.robots.as_ref()).map(|(line, robots)| robots.crawl_delay(&line.call.request.url));
        self.hosts[id].rate_limiter.slow_to(delay.unwrap_or_default());
    }

    /// Replaces the token of a host if its headers or files changed. Then lines that wait for a new one are sent again.
    fn change_token(&mut self, id: HostId, was: u32, now: Duration) {
        let (name, port) = name_and_port(&self.hosts[id].name);
        let new = self.settings.token_of(name, port);
        let policy_of = |token: Option<&HostToken>| token.map(|token| token.policy.clone());
        let has_same_files = was >= self.configurations.files_since;
        if has_same_files && policy_of(self.hosts[id].token.as_deref()) == policy_of(new.as_deref()) {
            return;
        }
        if self.hosts[id].token.is_some() {
            self.change_held(id, Change::Renewed, now);
        }
        if self.hosts[id].is_stalled_by(StallReason::Token) {
            self.stall_host(id, StallReason::Token, Holds::No, now);
        }
        self.hosts[id].token = new;
    }

    /// A host that enters the table may have got requests at the higher rate of previous settings: the last one counts
    /// as sent when they ended.
    #[inline(always)]
    pub(super) fn slow_since_reload(&mut self, id: HostId, now: Duration) {
        self.hosts[id].configuration = self.configurations.number;
        if !self.configurations.before.is_empty() {
            self.note_settings_before(id, now);
        }
    }

    #[cold]
    fn note_settings_before(&mut self, id: HostId, now: Duration) {
        let (name, port) = name_and_port(&self.hosts[id].name);
        let every = self.hosts[id].limits.every;
        let recent = self.configurations.before.iter().rev().filter(|(at, _)| now < at.saturating_add(every));
        let mut recent = recent;
        let faster = recent.find(|(_, old)| old.limits_of(name, port).every < every);
        if let Some(at) = faster.map(|(at, _)| *at) {
            self.hosts[id].rate_limiter.note_earlier(at);
        }
    }
}

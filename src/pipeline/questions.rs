//! The scheduler's side of the desk: answers one question a turn, and scans all hosts or lines in pieces.

use std::time::Duration;

use tokio::sync::oneshot;

use super::desk::{HostsAnswer, InForce, Question, Reconfiguration};
use super::lookup::Lookup;
use super::scheduler::{Scan, Scheduler};
use crate::schedule::{HostScan, HostsBy, HostsQuery, LineAnswer, LineKey, Scanned};

/// Places of the line book scanned in one turn.
const A_TURN: usize = 512;

impl Scheduler {
    /// Answers a question, or begins a scan for it.
    pub(super) fn answer(&mut self, question: Question) {
        let now = self.clock.now();
        // Each `drop` ignores a receiver that is gone.
        match question {
            Question::Hosts(query, reply) => match self.core.hosts_at_once(&query, now) {
                Some(hosts) => drop(reply.send(HostsAnswer { hosts, matching: None })),
                None => self.scan = Some(Scan::Hosts(HostScan::new(query), reply)),
            },
            Question::Host(name, reply) => drop(reply.send(self.core.host_report(&name, now))),
            Question::HostCounts(reply) => {
                let query = HostsQuery { sort: HostsBy::Waiting, status: None, name: None, limit: 0 };
                self.scan = Some(Scan::Counts(HostScan::new(query), reply));
            }
            Question::Why(name, reply) => drop(reply.send(self.core.host_why(&name, now))),
            Question::Limits(host, reply) => drop(reply.send(self.core.limits_of(host.as_deref()))),
            Question::WhyLine(key, reply) => self.scan = Some(Scan::Line(self.core.look_for(key), reply)),
            Question::Overrides(reply) => self.scan = Some(Scan::Held(0, 0, reply)),
            Question::SetOverrides(overrides, reply) => {
                self.core.set_overrides(&overrides, now);
                // The reply is sent once `ready` has no job from before the change.
                self.reconfigured.push(reply);
                self.show(now);
                // Once more in this turn, after lines have started by the new limits.
                self.publisher.hurry();
            }
            Question::Skip(name, reply) => drop(reply.send(self.core.skip(&name, now))),
            Question::Reconfigure(new, reply) => self.reconfigure(*new, reply, now),
        }
    }

    /// Replaces the configuration. The reply is sent once `ready` has no job with the previous client.
    fn reconfigure(&mut self, new: Reconfiguration, reply: oneshot::Sender<()>, now: Duration) {
        let Reconfiguration { schedule, fetch, tokens } = new;
        self.core.reconfigure(schedule, now);
        self.fetch = fetch;
        let generations = tokens.as_ref().map(|tokens| tokens.generations()).unwrap_or_default();
        self.tokens.reconfigure(tokens);
        for (file, generation) in generations.into_iter().enumerate() {
            self.core.renew_token(file, generation, now);
        }
        self.reconfigured.push(reply);
    }

    /// Publishes a change before the reply to it is sent.
    fn show(&mut self, now: Duration) {
        let outlook = self.limits.look(&mut self.core, &self.memory, now);
        self.publisher.publish_view(&self.core, outlook, now);
    }

    /// Continues work that takes more than one turn.
    pub(super) fn go_on(&mut self, now: Duration) {
        if self.ready.is_empty() {
            for reply in self.reconfigured.drain(..) {
                let _ = reply.send(());
            }
        }
        self.core.work(now);
        let most = self.core.most_at_once() as usize;
        if most > self.concurrency {
            // There are enough workers and places in `ready`; the core limits how many are used.
            self.permits.add_permits(most - self.concurrency);
            self.concurrency = most;
        }
        if let Some(scan) = self.scan.take() {
            self.scan = self.scan_on(scan, now);
        }
    }

    /// Whether work of more than one turn is left.
    pub(super) fn has_work(&self) -> bool {
        !self.reconfigured.is_empty() || self.scan.is_some() || self.core.has_work()
    }
}

impl Scheduler {
    /// One turn of a scan; returns the scan if it is not finished.
    fn scan_on(&self, scan: Scan, now: Duration) -> Option<Scan> {
        let core = &self.core;
        match scan {
            Scan::Hosts(mut scan, reply) => match core.scan_hosts(&mut scan, now) {
                Scanned::More(_) => return Some(Scan::Hosts(scan, reply)),
                Scanned::Done(hosts) => drop(reply.send(HostsAnswer { hosts, matching: Some(scan.matching()) })),
            },
            Scan::Counts(mut scan, reply) => match core.scan_hosts(&mut scan, now) {
                Scanned::More(_) => return Some(Scan::Counts(scan, reply)),
                Scanned::Done(_) => drop(reply.send(scan.counts())),
            },
            Scan::Line(mut scan, reply) => match core.scan_lines(&mut scan, now) {
                Scanned::More(_) => return Some(Scan::Line(scan, reply)),
                Scanned::Done(Some(answer)) => drop(reply.send(answer)),
                Scanned::Done(None) => self.look_beyond(scan.key, reply),
            },
            Scan::Held(from, so_far, reply) => {
                let would_cancel = so_far + core.held_by_operator(from, A_TURN);
                if from + A_TURN < core.line_places() {
                    return Some(Scan::Held(from + A_TURN, would_cancel, reply));
                }
                let (overrides, workers) = (core.overrides().at(now), core.workers());
                drop(reply.send(InForce { overrides, now, workers, would_cancel }));
            }
        }
        None
    }

    /// Answers for a line that is not in the schedule: it has not arrived yet, or has left it.
    fn look_beyond(&self, key: LineKey, reply: oneshot::Sender<LineAnswer>) {
        let accepted = self.status.counters().accepted.get();
        if self.core.is_to_come(&key) {
            let is_accepted = matches!(key, LineKey::Ordinal(ordinal) if ordinal < accepted);
            return drop(reply.send(if is_accepted { LineAnswer::Queued } else { LineAnswer::NotHere }));
        }
        Lookup { key, reply }.pass_on(&self.lookups);
    }
}

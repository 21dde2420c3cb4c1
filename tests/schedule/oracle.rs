//! When each waiting line may start, worked out from the history and the documented rules alone.
//!
//! It knows no back-off, so it is for scripts without one, and for those whose hosts all find room in the table.

use std::collections::BTreeMap;
use std::time::Duration;

use fetchd::schedule::{HostLimits, SLACK};

use crate::items::at_once;
use crate::script::{HOSTS, MAX_RETRY_AFTER, Reply, Script};
use crate::world::{Event, What};

pub struct Oracle {
    hosts: Vec<Host>,
    pace: Pace,
    permits: usize,
}

struct Host {
    limits: HostLimits,
    in_flight: u32,
    paused_until: Duration,
    pace: Pace,
    /// By turn.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Clone, Copy)]
struct Waiting {
    due: Duration,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Fresh,
    Again,
}

struct Pace {
    every: Duration,
    due: Duration,
}

impl Pace {
    fn start(&mut self, now: Duration) {
        self.due = self.due.max(now.saturating_sub(SLACK)) + self.every;
    }
}

impl Oracle {
    pub fn new(script: &Script) -> Self {
        let host = |limits: &HostLimits| Host {
            limits: *limits,
            in_flight: 0,
            paused_until: Duration::ZERO,
            pace: Pace { every: limits.every, due: Duration::ZERO },
            waiting: BTreeMap::new(),
        };
        let hosts: Vec<_> = script.limits.iter().map(host).collect();
        assert_eq!(hosts.len(), HOSTS);
        Self { hosts, pace: Pace { every: script.settings.every, due: Duration::ZERO }, permits: script.permits }
    }

    pub fn follow(&mut self, event: &Event) {
        let now = event.at;
        match &event.what {
            What::Pushed { ordinal, host } => self.wait(*ordinal, *host, now, Place::Fresh),
            What::Started { ordinal, host, .. } => self.start(*ordinal, *host, now),
            What::Answered { ordinal, host, reply } => self.end(*ordinal, *host, reply, now),
            What::Settled(settled) => self.forget(settled.ordinal),
            What::Released(ordinal) => self.forget(*ordinal),
            What::Releases(_)
            | What::Overridden(_)
            | What::Skips(_)
            | What::Reconfigured(_)
            | What::Switched(_)
            | What::Stopped
            | What::GaveUp
            | What::Rests(_) => {}
        }
    }

    /// The earliest time at which some line may start; `None` when only a response or a new line can change that.
    pub fn next_start(&self) -> Option<Duration> {
        let in_flight: u32 = self.hosts.iter().map(|host| host.in_flight).sum();
        if in_flight as usize >= self.permits {
            return None;
        }
        self.hosts.iter().filter_map(Host::next_start).min().map(|at| at.max(self.pace.due))
    }

    /// Whether a line becomes ready at this very time, as far as its host is concerned, or all ready ones do because
    /// the global rate allows the next start.
    pub fn gets_ready_at(&self, at: Duration) -> bool {
        let mut ready = self.hosts.iter().filter_map(Host::next_start);
        ready.any(|ready| ready == at || (ready < at && self.pace.due == at))
    }

    /// Retries and hops of this host that are due.
    pub fn due_again(&self, host: usize, now: Duration) -> usize {
        let due = |line: &&Waiting| line.place == Place::Again && line.due <= now;
        self.hosts[host].waiting.values().filter(due).count()
    }

    fn wait(&mut self, ordinal: u64, host: usize, due: Duration, place: Place) {
        self.hosts[host].waiting.insert(ordinal, Waiting { due, place });
    }

    fn start(&mut self, ordinal: u64, host: usize, now: Duration) {
        let host = &mut self.hosts[host];
        host.waiting.remove(&ordinal).expect("a line that starts has waited at its host");
        host.in_flight += 1;
        host.pace.start(now);
        self.pace.start(now);
    }

    /// Every line that was answered waits again, until the history says that it was settled.
    fn end(&mut self, ordinal: u64, host: usize, reply: &Reply, now: Duration) {
        self.hosts[host].in_flight -= 1;
        let (host, due) = match reply {
            Reply::Redirect { host: target, .. } => (*target, now),
            Reply::RetryAfter(_, wait) if *wait <= MAX_RETRY_AFTER => {
                let paused_until = &mut self.hosts[host].paused_until;
                *paused_until = (*paused_until).max(now + *wait);
                (host, now + *wait)
            }
            _ => (host, now),
        };
        self.wait(ordinal, host, due, Place::Again);
    }

    fn forget(&mut self, ordinal: u64) {
        for host in &mut self.hosts {
            host.waiting.remove(&ordinal);
        }
    }
}

impl Host {
    fn next_start(&self) -> Option<Duration> {
        if self.in_flight >= at_once(&self.limits) {
            return None;
        }
        let due = self.waiting.values().map(|line| line.due).min()?;
        Some(due.max(self.pace.due).max(self.paused_until))
    }
}
